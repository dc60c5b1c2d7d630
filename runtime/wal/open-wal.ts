/**
 * Opens a log: reads everything, lets consensus/wal decide what it means, and only then changes anything. What it
 * changes, a crash may interrupt anywhere: the next opening finds a state that it handles the same way.
 *
 * Order of a birth: segment 1 under its final name, then the hard-state file. So a hard-state file without a segment is
 * a loss, and a first segment without batches and without that file is a birth to go on with.
 */
import { invariant } from '../../base/invariant.ts'
import { MiB } from '../../base/units.ts'
import { BLOCK_BYTES } from '../../consensus/wal/format.ts'
import { HARD_STATE_FILE } from '../../consensus/wal/hard-state-file.ts'
import { LogRecovery } from '../../consensus/wal/recovery.ts'
import type { FoundSegment, Recovery } from '../../consensus/wal/recovery.ts'
import { parseSegmentName } from '../../consensus/wal/segment-header.ts'
import type { RecoveredLog, WalIdentity } from '../../consensus/wal/types.ts'
import type { Disk } from '../ports/disk.ts'
import type { LogState } from './batch-filler.ts'
import { openHardStateStore } from './hard-state-store.ts'
import { LogWriter } from './log-writer.ts'
import { Segments, createSegment } from './segments.ts'
import type { OpenSegment } from './segments.ts'
import type { OpenWalInput, Wal } from './wal.ts'

const DEFAULT_SEGMENT_BYTES = 64 * MiB
const DEFAULT_MAX_BATCH_BYTES = 4 * MiB
/** Below that a segment could not hold a batch of a few small entries and a large membership. */
const MIN_SEGMENT_BYTES = 16 * BLOCK_BYTES

/**
 * Opens the log in `folder`, makes it when the folder is empty, and cuts a torn tail. Rejects with `WAL_CORRUPT`,
 * `HARD_STATE_CORRUPT`, `DATA_VERSION_UNSUPPORTED` or `DATA_FOLDER_FOREIGN`, the file and place named, without changing
 * a byte; or with the disk's own error. `WAL_CORRUPT` carries `{ file, offset, batch, expected, got }` and the proven
 * `hardState` and `incarnation` in its details.
 */
export async function openWal(input: OpenWalInput): Promise<{ wal: Wal; recovered: RecoveredLog }> {
  const { disk, clock, folder, identity, events } = input
  const segmentBytes = input.options?.segmentBytes ?? DEFAULT_SEGMENT_BYTES
  invariant(
    segmentBytes % BLOCK_BYTES === 0 && segmentBytes >= MIN_SEGMENT_BYTES,
    () => `segmentBytes: got ${segmentBytes}, expected a multiple of ${BLOCK_BYTES} ≥ ${MIN_SEGMENT_BYTES}`
  )
  const maxBatchBytes = Math.min(
    input.options?.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES,
    segmentBytes - 4 * BLOCK_BYTES
  )
  await disk.makeFolder(folder)
  const recovery = await readLog(disk, folder, identity)

  await removeUnfinished(disk, folder)
  if (recovery.tear !== undefined) await clearTear(disk, folder, recovery.tear)
  const files = await openSegments(disk, folder, identity, segmentBytes, recovery)
  const { log, tail } = recovery
  const state: LogState = {
    hardState: log.hardState,
    incarnation: log.incarnation,
    base: log.base,
    lastIndex: tail.lastIndex,
    lastTerm: tail.lastTerm
  }
  const durable = { hardState: log.hardState, incarnation: log.incarnation, tail }
  const store = await openHardStateStore(disk, folder, identity, { slot: recovery.slot, state: durable })
  if (recovery.intactSlots === 1 || !store.holds(durable)) await store.write(durable)

  const allocate = (sizeBytes: number): Uint8Array => disk.allocateBuffer(sizeBytes)
  const { ledger } = recovery
  const wal = new LogWriter(
    { clock, events, segmentBytes, maxBatchBytes, allocate, state, tail, ledger, store },
    (onFailure) =>
      new Segments({
        ...{ disk, folder, identity, segmentBytes, onFailure, ...files },
        onFull: (full) => events.onFull?.(full)
      })
  )
  return { wal, recovered: log }
}

async function readLog(disk: Disk, folder: string, identity: WalIdentity): Promise<Recovery> {
  const names = await disk.list(folder)
  const recovery = new LogRecovery(identity)
  for (const name of names) {
    if (parseSegmentName(name) !== undefined) recovery.addSegment(name, await disk.read(`${folder}/${name}`))
  }
  return recovery.finish(
    names.includes(HARD_STATE_FILE) ? await disk.read(`${folder}/${HARD_STATE_FILE}`) : undefined
  )
}

/** Files that were being made when the process ended. */
async function removeUnfinished(disk: Disk, folder: string): Promise<void> {
  const unfinished = (await disk.list(folder)).filter((name) => name.endsWith('.new'))
  for (const name of unfinished) await disk.remove(`${folder}/${name}`)
  if (unfinished.length > 0) await disk.syncFolder(folder)
}

async function clearTear(disk: Disk, folder: string, tear: NonNullable<Recovery['tear']>): Promise<void> {
  const file = await disk.open(`${folder}/${tear.name}`)
  await file.write(tear.from, disk.allocateBuffer(tear.to - tear.from))
  await file.close()
}

/** Opens the current segment and the one made ahead of it; makes the first one at a birth. */
async function openSegments(
  disk: Disk,
  folder: string,
  identity: WalIdentity,
  segmentBytes: number,
  { segments }: Recovery
): Promise<{ current: OpenSegment; offset: number; next: OpenSegment | undefined }> {
  const open = async (found: FoundSegment): Promise<OpenSegment> => ({
    sequence: found.sequence,
    file: await disk.open(`${folder}/${found.name}`)
  })
  const found = segments.findLast(({ batches }) => batches > 0) ?? segments[0]
  const current =
    found === undefined ? await createSegment({ disk, folder, identity, segmentBytes }, 1) : await open(found)

  const [spare, ...more] = segments.filter(({ sequence }) => sequence > current.sequence)
  const fits = spare?.sizeBytes === segmentBytes
  const useless = spare === undefined || fits ? more : [spare, ...more]
  for (const { name } of useless.toReversed()) {
    await disk.remove(`${folder}/${name}`)
    await disk.syncFolder(folder)
  }
  const next = spare !== undefined && fits ? await open(spare) : undefined
  return { current, offset: found?.endOffset ?? BLOCK_BYTES, next }
}
