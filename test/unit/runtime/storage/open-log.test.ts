import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { clusterId, nodeId, peerId } from '../../../../base/ids.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { Entry, HardState } from '../../../../consensus/types.ts'
import { recomputeChecksum, RECORD_VERSION } from '../../../../scheduler/records.ts'
import { createState } from '../../../../scheduler/state.ts'
import { DEFAULT_RUNTIME } from '../../../../runtime/config.ts'
import { encodeMeta, keyBytes, META_KEY } from '../../../../runtime/storage/meta.ts'
import { openLog, STATE_STORE, type OpenedLog } from '../../../../runtime/storage/open-log.ts'
import { openWal } from '../../../../runtime/wal/open-wal.ts'
import { createSimDisk } from '../../../../sim/disk.ts'
import type { SimDisk } from '../../../../sim/disk-types.ts'
import { createSimStores } from '../../../../sim/store.ts'
import type { SimStores } from '../../../../sim/store-types.ts'
import { createVirtualTime } from '../../../helpers/virtual-time.ts'
import { codeOf, HandClock, settled, SILENT } from '../stub-ports.ts'

const CONF_STATE = confStateOf([1, 2, 3], [])
const IDENTITY = { clusterId: clusterId('a'.repeat(32)), nodeId: nodeId(1) }
const SEGMENT_BYTES = 64 * 1024

/** The disk and stores of one node, opened as often as need be. */
class Machine {
  readonly disk: SimDisk
  readonly stores: SimStores

  constructor(schedule?: (delayMs: number, callback: () => void) => void) {
    const timing = schedule === undefined ? {} : { schedule }
    this.disk = createSimDisk({ rng: createRng(1), ...timing })
    this.stores = createSimStores({ rng: createRng(2), ...timing })
  }

  async open(bootstrap = false): Promise<OpenedLog> {
    return await openLog({
      config: { ...DEFAULT_RUNTIME, ...IDENTITY, ...REST_OF_CONFIG, bootstrap },
      clock: new HandClock(),
      disk: this.disk.disk(),
      stores: this.stores,
      logger: SILENT,
      walEvents: { onFailure: () => undefined },
      folder: 'data',
      segmentBytes: SEGMENT_BYTES,
      snapshotSource: () => 'temporarily-unavailable'
    })
  }

  /** What `open` finds, let go of again. */
  async look(bootstrap = false): Promise<{ index: number; last: number; base: number; commit: number }> {
    const { wal, log, store, position } = await this.open(bootstrap)
    const { hardState } = log.initialState()
    const seen = {
      index: position.index,
      last: log.lastIndex(),
      base: log.firstIndex() - 1,
      commit: hardState.commit
    }
    await store.close()
    await wal.close()
    return seen
  }

  async writeState(index: number, term: number): Promise<void> {
    const store = await this.stores.open(STATE_STORE)
    const meta = { index, term, confState: CONF_STATE, recordVersion: RECORD_VERSION, checksum: EMPTY }
    await store.batch([{ type: 'put', key: keyBytes(META_KEY), value: encodeMeta(meta) }], { sync: true })
    await store.close()
  }

  async writeLog(
    base: { index: number; term: number },
    entries: Entry[],
    hardState: HardState
  ): Promise<void> {
    const { wal } = await openWal({
      disk: this.disk.disk(),
      clock: new HandClock(),
      folder: 'data/wal',
      identity: IDENTITY,
      events: { onFailure: () => undefined },
      options: { segmentBytes: SEGMENT_BYTES }
    })
    const first = { ...hardState, commit: base.index }
    await new Promise<void>((resolve) => {
      wal.append({ reset: { ...base, confState: CONF_STATE }, entries: [], hardState: first }, resolve)
    })
    await new Promise<void>((resolve) => {
      wal.append({ entries, hardState }, resolve)
    })
    await wal.close()
  }
}

const EMPTY = recomputeChecksum(createState())
const REST_OF_CONFIG = {
  peerId: peerId('p1'),
  version: '0',
  slots: 1,
  resources: {},
  labels: {},
  zone: ''
}

function entries(from: number, to: number, term: number): Entry[] {
  const data = new Uint8Array(8)
  return Array.from({ length: to - from + 1 }, (_, i) => ({ term, index: from + i, type: 'normal', data }))
}

test('a state behind its log is opened as it is, and the log repeats the rest', async () => {
  const machine = new Machine()
  await machine.writeState(12, 2)
  await machine.writeLog({ index: 10, term: 2 }, entries(11, 20, 2), { term: 2, vote: 1, commit: 15 })
  expect(await machine.look()).toEqual({ index: 12, last: 20, base: 10, commit: 15 })
})

test('a state that knows of a later commit than the log tells it', async () => {
  const machine = new Machine()
  await machine.writeState(18, 2)
  await machine.writeLog({ index: 10, term: 2 }, entries(11, 20, 2), { term: 2, vote: 1, commit: 15 })
  expect(await machine.look()).toEqual({ index: 18, last: 20, base: 10, commit: 18 })
})

test('a state ahead of its log finishes the installation of a snapshot, and keeps the vote', async () => {
  const machine = new Machine()
  await machine.writeState(50, 3)
  await machine.writeLog({ index: 10, term: 2 }, entries(11, 20, 2), { term: 3, vote: 2, commit: 15 })
  expect(await machine.look()).toEqual({ index: 50, last: 50, base: 50, commit: 50 })
  const { wal, store, log } = await machine.open()
  expect(log.initialState().hardState).toEqual({ term: 3, vote: 2, commit: 50 })
  await store.close()
  await wal.close()
})

test('entries that contradict an installed snapshot go, though they reach beyond it', async () => {
  const machine = new Machine()
  await machine.writeState(15, 4)
  await machine.writeLog({ index: 10, term: 2 }, entries(11, 20, 2), { term: 4, vote: 0, commit: 11 })
  expect(await machine.look()).toEqual({ index: 15, last: 15, base: 15, commit: 15 })
})

test('a state below the base of its log is refused', async () => {
  const machine = new Machine()
  await machine.writeState(5, 2)
  await machine.writeLog({ index: 10, term: 2 }, entries(11, 20, 2), { term: 2, vote: 1, commit: 15 })
  expect(await codeOf(machine.open())).toBe('STATE_CORRUPT')
})

test('a state without its log is refused', async () => {
  const machine = new Machine()
  await machine.writeState(5, 2)
  expect(await codeOf(machine.open())).toBe('WAL_CORRUPT')
  expect(await codeOf(machine.open(true))).toBe('WAL_CORRUPT')
})

test('a store whose rows do not add up to their checksum is refused', async () => {
  const machine = new Machine()
  await machine.writeLog({ index: 10, term: 2 }, entries(11, 20, 2), { term: 2, vote: 1, commit: 15 })
  const store = await machine.stores.open(STATE_STORE)
  const meta = { index: 12, term: 2, confState: CONF_STATE, recordVersion: RECORD_VERSION, checksum: 'other' }
  await store.batch([{ type: 'put', key: keyBytes(META_KEY), value: encodeMeta(meta) }], { sync: true })
  await store.close()
  expect(await codeOf(machine.open())).toBe('STATE_CORRUPT')
})

test('a birth can be repeated after a crash at any step, and is done once', async () => {
  let steps = 0
  const birth = { finished: false }
  for (; !birth.finished; steps++) {
    const time = createVirtualTime()
    const machine = new Machine(time.schedule)
    machine.open(true).then(
      () => {
        birth.finished = true
      },
      () => undefined
    )
    for (let step = 0; step < steps; step++) {
      await settled()
      time.step()
    }
    await settled()
    machine.disk.crash({ power: true })
    machine.stores.crash({ power: true })
    for (let again = 0; again < 2; again++) {
      const looked = machine.look(true)
      let seen: unknown
      looked.then(
        (found) => {
          seen = found
        },
        (error: unknown) => {
          seen = error
        }
      )
      await time.until(() => seen !== undefined)
      expect(seen, `crash after ${steps} steps`).toEqual({ index: 1, last: 1, base: 1, commit: 1 })
    }
  }
  expect(steps).toBeGreaterThan(10)
})
