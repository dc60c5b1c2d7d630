/**
 * Opens the two halves of a node's memory, the log and the state behind it, and makes sure that they fit together.
 *
 * The state may lag behind the log (it is written behind) and may be ahead of it in one case only: a crash fell between
 * the swap of an installed snapshot and the reset of the log, which is finished here.
 */
import { AppError } from '../../base/errors.ts'
import { invariant } from '../../base/invariant.ts'
import { MemoryStorage, NO_BYTES, type HardState, type Snapshot } from '../../consensus/index.ts'
import type { LogBase, RecoveredLog } from '../../consensus/wal/types.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { RuntimeConfig } from '../config.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'
import type { Logger } from '../ports/log.ts'
import type { Store, StoreProvider } from '../ports/store.ts'
import { openWal } from '../wal/open-wal.ts'
import type { Wal, WalEvents } from '../wal/wal.ts'
import type { AppliedPosition } from './materializer.ts'
import { birthSnapshot, openState, writeBirth } from './open-state.ts'

/** Names of a node's stores and of the folder of its log. */
export const STATE_STORE = 'state'
export const LOCAL_STORE = 'local'
const WAL_FOLDER = 'wal'

export interface OpenLogInput {
  readonly config: RuntimeConfig
  readonly clock: Clock
  readonly disk: Disk
  readonly stores: StoreProvider
  readonly logger: Logger
  readonly walEvents: WalEvents
  /** Path of the node's data folder on `disk`. */
  readonly folder: string
  readonly segmentBytes?: number
  /** What Raft is told of the state when a follower needs a snapshot. */
  readonly snapshotSource: () => Snapshot | 'temporarily-unavailable'
}

export interface OpenedLog {
  readonly wal: Wal
  readonly log: MemoryStorage
  readonly store: Store
  readonly state: SchedulerState
  readonly position: AppliedPosition
  /** The highest incarnation that was ever recorded. */
  readonly incarnation: number
}

export async function openLog(input: OpenLogInput): Promise<OpenedLog> {
  const { config, disk, clock, logger, folder } = input
  const identity = { clusterId: config.clusterId, nodeId: config.nodeId }
  const options = input.segmentBytes === undefined ? {} : { options: { segmentBytes: input.segmentBytes } }
  const { wal, recovered } = await openWal({
    disk,
    clock,
    folder: `${folder}/${WAL_FOLDER}`,
    identity,
    events: input.walEvents,
    ...options
  })
  let store: Store | undefined
  try {
    for (const repair of recovered.repairs) logger.warn({ repair }, 'the log was repaired')
    store = await input.stores.open(STATE_STORE)
    const opened = await openState(store)
    const fitted = await fit(input, wal, recovered, store, opened.position)
    const log = new MemoryStorage({
      hardState: fitted.hardState,
      confState: fitted.position.confState,
      compacted: fitted.base,
      entries: fitted.entries,
      snapshotSource: input.snapshotSource
    })
    const { position } = fitted
    return { wal, log, store, state: opened.state, position, incarnation: recovered.incarnation }
  } catch (error) {
    await store?.close()
    await wal.close()
    throw error
  }
}

interface Fitted {
  readonly hardState: HardState
  readonly base: LogBase
  readonly entries: RecoveredLog['entries']
  readonly position: AppliedPosition
}

async function fit(
  input: OpenLogInput,
  wal: Wal,
  recovered: RecoveredLog,
  store: Store,
  position: AppliedPosition
): Promise<Fitted> {
  const { base, entries, hardState } = recovered
  if (recovered.isNew && position.index > 1) {
    const message = `the state stands at index ${position.index}, but the log in ${WAL_FOLDER}/ is missing`
    throw new AppError('WAL_CORRUPT', message)
  }
  if (input.config.bootstrap && base.index === 0 && entries.length === 0)
    return await birth(input, wal, store)
  if (position.index < base.index) {
    const message = `the log begins after index ${base.index}, but the state stands at ${position.index}`
    throw new AppError('STATE_CORRUPT', message)
  }
  const last = entries.at(-1)?.index ?? base.index
  // A log that was not reset yet may also reach beyond the snapshot, with entries that it replaced.
  const replaced = entries[position.index - base.index - 1]
  if (position.index > last || (replaced !== undefined && replaced.term !== position.term)) {
    input.logger.warn({ index: position.index, last }, 'finishing the installation of a snapshot')
    return await resetLog(wal, position, hardState)
  }
  // The state is written only after its entries were committed and durable, so it may know of a later commit.
  const commit = Math.max(hardState.commit, position.index)
  return { hardState: { ...hardState, commit }, base, entries, position }
}

/** Begins a cluster: the state first, then the log, each durable; repeating it after a crash is harmless. */
async function birth(input: OpenLogInput, wal: Wal, store: Store): Promise<Fitted> {
  const position = birthSnapshot(input.config.nodeId)
  await writeBirth(store, position)
  input.logger.info({ clusterId: input.config.clusterId }, 'a cluster is born')
  return await resetLog(wal, position, { term: position.term, vote: 0, commit: position.index })
}

async function resetLog(wal: Wal, position: AppliedPosition, known: HardState): Promise<Fitted> {
  invariant(position.index > 0, 'a log is reset to a position')
  const { index, term, confState } = position
  const newer = term > known.term
  const hardState = {
    term: Math.max(known.term, term),
    vote: newer ? 0 : known.vote,
    commit: Math.max(known.commit, index)
  }
  const base = { index, term, confState }
  await new Promise<void>((resolve) => {
    wal.append({ reset: base, entries: [], hardState }, resolve)
  })
  return { hardState, base, entries: [], position: base }
}

/** A snapshot as Raft's metadata message carries it: the position alone. */
export function positionSnapshot(position: AppliedPosition): Snapshot {
  return { ...position, data: NO_BYTES }
}
