import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { HARD_STATE_FILE } from '../../../../consensus/wal/hard-state-file.ts'
import { segmentName } from '../../../../consensus/wal/segment-header.ts'
import {
  FOLDER,
  SEGMENT_BYTES,
  appended,
  baseAt,
  entries,
  hardState,
  open,
  plain,
  refusal,
  simDisk
} from './fixture.ts'
import type { Opened } from './fixture.ts'
import { createVirtualTime } from './virtual-time.ts'

/** An open log whose disk stands still until time runs. */
async function openSlowly(): Promise<Opened & ReturnType<typeof slowDisk>> {
  const slow = slowDisk()
  const opening = open(slow.sim.disk())
  await slow.time.run()
  return { ...slow, ...(await opening) }
}

function slowDisk() {
  const time = createVirtualTime()
  return { time, sim: simDisk({ rng: createRng(7), schedule: time.schedule }) }
}

test('appends that arrive during a write share the next one', async () => {
  const { wal, time } = await openSlowly()
  wal.append({ entries: entries(1, 1), hardState: hardState(1, 0, 0) }, () => undefined)
  await time.run(0)
  for (let index = 2; index <= 50; index++) wal.append({ entries: entries(index, index) }, () => undefined)
  expect(wal.metrics()).toMatchObject({ batches: 0, pendingAppends: 50 })
  await time.run()
  expect(wal.metrics()).toMatchObject({ batches: 2, entries: 50, pendingAppends: 0 })
})

test('onDurable fires in the order of the calls, after the write, never inside the call', async () => {
  const { wal, time } = await openSlowly()
  const order: string[] = []
  const add = (name: string, append: Parameters<typeof wal.append>[0]): void => {
    wal.append(append, () => order.push(name))
  }
  add('term', { entries: [], hardState: hardState(1, 2, 0) })
  await time.run(0)
  add('entries', { entries: entries(1, 3) })
  add('commit only', { entries: [], hardState: hardState(1, 2, 2) })
  wal.recordIncarnation(4, () => order.push('incarnation'))
  add('more entries', { entries: entries(4, 4) })
  await time.run(0)
  expect(order).toEqual([])
  await time.run()
  expect(order).toEqual(['term', 'entries', 'commit only', 'incarnation', 'more entries'])
})

test('a callback may append', async () => {
  const { wal } = await open(simDisk().disk())
  await new Promise<void>((resolve) => {
    wal.append({ entries: entries(1, 1), hardState: hardState(1, 0, 0) }, () => {
      wal.append({ entries: entries(2, 2) }, resolve)
    })
  })
  expect(wal.metrics().entries).toBe(2)
})

test('a commit index alone is not written, and is durable with the next batch', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 4), hardState: hardState(1, 0, 0) })
  const { syncs } = wal.metrics()
  await appended(wal, { hardState: hardState(1, 0, 3) })
  expect(wal.metrics().syncs).toBe(syncs)
  await appended(wal, { entries: entries(5, 5) })
  sim.crash()
  expect((await open(sim.disk())).recovered.hardState).toEqual(hardState(1, 0, 3))
})

test('term and vote are in the second file before onDurable', async () => {
  const { wal, sim } = await openSlowly().then(async ({ wal: slow, sim: disk, time }) => {
    const before = disk.content(`${FOLDER}/${HARD_STATE_FILE}`).slice()
    let same: boolean | undefined
    slow.append({ entries: [], hardState: hardState(3, 2, 0) }, () => {
      same = Buffer.compare(before, disk.content(`${FOLDER}/${HARD_STATE_FILE}`)) === 0
    })
    await time.run()
    expect(same).toBe(false)
    return { wal: slow, sim: disk }
  })
  expect(wal.metrics().batches).toBe(1)
  // With the log's only batch gone, the file alone still proves the term: the loss is noticed.
  sim.content(`${FOLDER}/${segmentName(1)}`).fill(0, 4096)
  sim.crash()
  const reopened = simDisk()
  for (const path of sim.paths()) reopened.replace(path, sim.content(path))
  const error = await refusal(open(reopened.disk()))
  expect(error.code).toBe('WAL_CORRUPT')
  expect(error.details['hardState']).toEqual(hardState(3, 2, 0))
})

test('segments follow each other, and a restart reads them all', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { hardState: hardState(1, 0, 0), entries: entries(1, 1) })
  for (let index = 2; index <= 60; index++) await appended(wal, { entries: entries(index, index, 1, 5000) })
  expect(wal.metrics().segments).toBeGreaterThan(5)
  sim.crash()
  const { recovered } = await open(sim.disk())
  expect(plain(recovered.entries)).toEqual(plain([...entries(1, 1), ...entries(2, 60, 1, 5000)]))
})

test('compaction removes whole segments below the base and keeps every entry above it', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { hardState: hardState(1, 0, 0), entries: entries(1, 60, 1, 5000) })
  await appended(wal, { hardState: hardState(1, 0, 60) })
  const before = wal.metrics().segments
  await wal.compact(baseAt(40, 1))
  expect(wal.metrics().segments).toBeLessThan(before)
  expect(sim.paths()).not.toContain(`${FOLDER}/${segmentName(1)}`)
  sim.crash()
  const second = await open(sim.disk())
  expect(second.recovered.base).toEqual(baseAt(40, 1))
  expect(plain(second.recovered.entries)).toEqual(plain(entries(41, 60, 1, 5000)))
  await second.wal.compact(baseAt(60, 1))
  await second.wal.compact(baseAt(50, 1))
  expect(second.wal.metrics().segments).toBe(1)
  await appended(second.wal, { entries: entries(61, 61) })
  await second.wal.close()
  const third = await open(sim.disk())
  expect(third.recovered.base.index).toBe(60)
  expect(plain(third.recovered.entries)).toEqual(plain(entries(61, 61)))
})

test('entries that a shorter suffix replaced do not hold their segment back', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { hardState: hardState(1, 0, 1), entries: entries(1, 40, 1, 5000) })
  await appended(wal, { hardState: hardState(2, 0, 2), entries: entries(2, 3, 2) })
  await wal.compact(baseAt(2, 2))
  expect(wal.metrics().segments).toBe(1)
  sim.crash()
  expect(plain((await open(sim.disk())).recovered.entries)).toEqual(plain(entries(3, 3, 2)))
})

test('a reset removes the segments before it', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { hardState: hardState(1, 0, 1), entries: entries(1, 60, 1, 5000) })
  await appended(wal, { hardState: hardState(2, 0, 90), reset: baseAt(90, 2), entries: [] })
  await wal.close()
  expect(wal.metrics().segments).toBe(1)
  expect((await open(sim.disk())).recovered.base).toEqual(baseAt(90, 2))
})

test('an append larger than a batch becomes durable as a whole before its callback', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk(), { segmentBytes: SEGMENT_BYTES, maxBatchBytes: 8192 })
  await appended(wal, { hardState: hardState(1, 2, 30), entries: entries(1, 30, 1, 3000) })
  expect(wal.metrics().batches).toBeGreaterThan(10)
  sim.crash()
  const { recovered } = await open(sim.disk())
  expect(recovered.hardState).toEqual(hardState(1, 2, 30))
  expect(recovered.entries.length).toBe(30)
})

test('an entry may fill most of a segment', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  const large = entries(1, 2, 1, 28_000)
  await appended(wal, { hardState: hardState(1, 0, 0), entries: large })
  sim.crash()
  expect(plain((await open(sim.disk())).recovered.entries)).toEqual(plain(large))
})

test('after a write error nothing is acknowledged, and the failure is told once', async () => {
  const sim = simDisk()
  const { wal, failures } = await open(sim.disk())
  await appended(wal, { hardState: hardState(1, 0, 0), entries: entries(1, 1) })
  sim.failWrites((path) => path.endsWith('.wal'))
  const acknowledged: number[] = []
  for (let index = 2; index <= 4; index++) {
    wal.append({ entries: entries(index, index) }, () => acknowledged.push(index))
  }
  const compaction = await refusal(wal.compact(baseAt(1, 1)))
  expect(compaction.code).toBe('STORAGE_FAILED')
  sim.failWrites(() => false)
  wal.append({ entries: entries(5, 5) }, () => acknowledged.push(5))
  wal.tick()
  await wal.close()
  expect(acknowledged).toEqual([])
  expect(failures.map(({ code }) => code)).toEqual(['STORAGE_FAILED'])
})

test('an error of the second file is a failure too', async () => {
  const sim = simDisk()
  const { wal, failures } = await open(sim.disk())
  sim.failWrites((path) => path.endsWith(HARD_STATE_FILE))
  let acknowledged = false
  wal.append({ entries: [], hardState: hardState(2, 1, 0) }, () => {
    acknowledged = true
  })
  await refusal(wal.compact(baseAt(0, 0)))
  expect(failures.map(({ code }) => code)).toEqual(['STORAGE_FAILED'])
  expect(acknowledged).toBe(false)
})

test('on a full disk appends wait unacknowledged and go on when there is room', async () => {
  const sim = simDisk({ capacityBytes: SEGMENT_BYTES + 8192 })
  const { wal, failures, fullness } = await open(sim.disk())
  const acknowledged: number[] = []
  wal.append({ entries: [], hardState: hardState(1, 0, 0) }, () => undefined)
  for (let index = 1; index <= 40; index++) {
    await new Promise((resolve) => setImmediate(resolve))
    wal.append({ entries: entries(index, index) }, () => acknowledged.push(index))
  }
  await new Promise((resolve) => setImmediate(resolve))
  expect(fullness).toEqual([true])
  expect(wal.metrics().full).toBe(true)
  // The rest of the current segment was still used.
  expect(acknowledged.length).toBeGreaterThan(7)
  expect(acknowledged.length).toBeLessThan(40)
  wal.tick()
  await new Promise((resolve) => setImmediate(resolve))
  expect(acknowledged.length).toBeLessThan(40)
  sim.setCapacity(10 * SEGMENT_BYTES)
  wal.tick()
  await new Promise((resolve) => setImmediate(resolve))
  expect(acknowledged.length).toBe(40)
  expect(fullness).toEqual([true, false])
  expect(failures).toEqual([])
})

test('closing a log that waits for space does not wait with it', async () => {
  const sim = simDisk({ capacityBytes: SEGMENT_BYTES + 8192 })
  const { wal } = await open(sim.disk())
  let acknowledged = false
  wal.append({ entries: entries(1, 40, 1, 5000), hardState: hardState(1, 0, 0) }, () => {
    acknowledged = true
  })
  await wal.close()
  expect(acknowledged).toBe(false)
  expect((await open(sim.disk())).recovered.repairs).toEqual([])
})

test('a tick of an idle log marks its end once', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { hardState: hardState(1, 0, 0), entries: entries(1, 1) })
  await appended(wal, { entries: entries(2, 2) })
  const { syncs } = wal.metrics()
  wal.tick()
  wal.tick()
  await new Promise((resolve) => setImmediate(resolve))
  expect(wal.metrics().syncs).toBe(syncs + 1)
})

test('a hard state that does not fit the log is a bug that stops before anything is queued', async () => {
  const { wal } = await open(simDisk().disk())
  const append = (hard: ReturnType<typeof hardState>): void => {
    wal.append({ entries: entries(1, 2, 5), hardState: hard }, () => undefined)
  }
  expect(() => {
    append(hardState(4, 0, 0))
  }).toThrow('does not fit hard state')
  expect(() => {
    append(hardState(5, 0, 3))
  }).toThrow('does not fit hard state')
})
