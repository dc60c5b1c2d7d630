/**
 * Opens the materialised state and checks it against itself: the rows must add up to the checksum that was stored with
 * them. A store that does not is refused by name; the log and a peer's snapshot can rebuild it, a guess cannot.
 */
import { AppError } from '../../base/errors.ts'
import { NO_BYTES, type ConfState } from '../../consensus/index.ts'
import { HOT_ROWS, type Row } from '../../scheduler/keys.ts'
import { loadState, RECORD_VERSION, recomputeChecksum } from '../../scheduler/records.ts'
import { createState, type SchedulerState } from '../../scheduler/state.ts'
import type { Store, StoreReader } from '../ports/store.ts'
import type { AppliedPosition } from './materializer.ts'
import { decodeMeta, encodeMeta, keyBytes, META_KEY, type StateMeta } from './meta.ts'

export interface OpenedState {
  readonly state: SchedulerState
  readonly position: AppliedPosition
}

/** The state in `store`; an empty one at position 0 when the store is new. */
export async function openState(store: Store): Promise<OpenedState> {
  const meta = await readMeta(store)
  if (meta === undefined) {
    return { state: createState(), position: { index: 0, term: 0, confState: EMPTY_CONF_STATE } }
  }
  if (meta.recordVersion !== RECORD_VERSION) {
    const message = `state store: got record version ${meta.recordVersion}, expected ${RECORD_VERSION}`
    throw new AppError('DATA_VERSION_UNSUPPORTED', message)
  }
  const rows: Row[] = []
  const decoder = new TextDecoder()
  for await (const [key, value] of store.iterate(HOT_RANGE)) rows.push({ key: decoder.decode(key), value })
  const state = loadState(rows)
  const checksum = recomputeChecksum(state)
  if (checksum !== meta.checksum) {
    const message = `state store at index ${meta.index}: got checksum ${checksum}, expected ${meta.checksum}`
    throw new AppError('STATE_CORRUPT', message)
  }
  const { index, term, confState } = meta
  return { state, position: { index, term, confState } }
}

export async function readMeta(store: StoreReader): Promise<StateMeta | undefined> {
  const bytes = await store.get(keyBytes(META_KEY))
  return bytes === undefined ? undefined : decodeMeta(bytes)
}

/** Writes the state of a cluster at its birth: empty, at the position where every log begins. */
export async function writeBirth(store: Store, position: AppliedPosition): Promise<void> {
  const meta = { ...position, recordVersion: RECORD_VERSION, checksum: recomputeChecksum(createState()) }
  await store.batch([{ type: 'put', key: keyBytes(META_KEY), value: encodeMeta(meta) }], { sync: true })
}

/**
 * Where every log begins: one voter, itself. Being above 0 it makes every joining node begin with a snapshot, so that
 * membership never has to be guessed from a log that starts at nothing.
 */
export function birthSnapshot(nodeId: number): {
  index: number
  term: number
  confState: ConfState
  data: Uint8Array
} {
  return { index: 1, term: 1, confState: { ...EMPTY_CONF_STATE, voters: [nodeId] }, data: NO_BYTES }
}

const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false
}
const HOT_RANGE = { gte: keyBytes(HOT_ROWS.gte), lt: keyBytes(HOT_ROWS.lt) }
