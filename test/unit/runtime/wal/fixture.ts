/** Opens logs on simulated disks; the only code of these tests that knows how. */
import { AppError } from '../../../../base/errors.ts'
import { crc32c } from '../../../../base/crc32c.ts'
import { createRng } from '../../../../base/prng.ts'
import { monotonicMs, timestampMs } from '../../../../base/units.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { Entry, HardState } from '../../../../consensus/types.ts'
import type { LogBase, RecoveredLog, WalAppend } from '../../../../consensus/wal/types.ts'
import type { Clock } from '../../../../runtime/ports/clock.ts'
import type { Disk } from '../../../../runtime/ports/disk.ts'
import { openWal } from '../../../../runtime/wal/open-wal.ts'
import type { Wal, WalOptions } from '../../../../runtime/wal/wal.ts'
import { createSimDisk } from '../../../../sim/disk.ts'
import type { SimDisk, SimDiskOptions } from '../../../../sim/disk-types.ts'

export const FOLDER = 'data/wal'
export const IDENTITY = { clusterId: '0123456789abcdef0123456789abcdef', nodeId: 3 }
export const SEGMENT_BYTES = 64 * 1024

/** A clock that moves by a millisecond a reading. */
function stepClock(): Clock {
  let now = 0
  return { monotonicNow: () => monotonicMs(now++), wallNow: () => timestampMs(now) }
}

/** An opened log with what it told. */
export interface Opened {
  readonly wal: Wal
  readonly recovered: RecoveredLog
  readonly failures: AppError[]
  readonly fullness: boolean[]
}

export async function open(
  disk: Disk,
  options: WalOptions = { segmentBytes: SEGMENT_BYTES },
  identity = IDENTITY,
  folder = FOLDER
): Promise<Opened> {
  const failures: AppError[] = []
  const fullness: boolean[] = []
  const { wal, recovered } = await openWal({
    disk,
    clock: stepClock(),
    folder,
    identity,
    options,
    events: { onFailure: (error) => failures.push(error), onFull: (full) => fullness.push(full) }
  })
  return { wal, recovered, failures, fullness }
}

/** A disk whose operations take no time. */
export function simDisk(options: Partial<SimDiskOptions> = {}): SimDisk {
  return createSimDisk({ rng: createRng(1), ...options })
}

/** A copy of a disk's files on a new disk. */
export function copyOf(source: SimDisk): SimDisk {
  const copy = simDisk()
  for (const path of source.paths()) copy.replace(path, source.content(path).slice())
  return copy
}

/** Appends and waits. */
export function appended(wal: Wal, append: Partial<WalAppend>): Promise<void> {
  return new Promise((resolve) => {
    wal.append({ entries: [], ...append }, resolve)
  })
}

/** Entries `from` to `to` of one term, with data that tell them apart. */
export function entries(from: number, to: number, term = 1, dataBytes = 20): Entry[] {
  const made: Entry[] = []
  for (let index = from; index <= to; index++) {
    const data = new Uint8Array(dataBytes).map((_, i) => index * 31 + term * 7 + i * 13)
    made.push({ term, index, type: index % 5 === 0 ? 'conf-change-v2' : 'normal', data })
  }
  return made
}

export function hardState(term: number, vote: number, commit: number): HardState {
  return { term, vote, commit }
}

export function baseAt(index: number, term: number, voters: readonly number[] = [1, 2, 3]): LogBase {
  return { index, term, confState: confStateOf(voters, [9]) }
}

/** The code and details of the rejection of `promise`. */
export async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('expected a rejection, but it resolved')
}

/** Plain forms that compare by content. */
export function plain(log: readonly Entry[]): string[] {
  return log.map(
    ({ term, index, type, data }) => `${index}/${term} ${type} ${data.length} bytes ${crc32c(data)}`
  )
}
