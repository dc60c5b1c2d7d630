import { expect, test } from 'vitest'
import { confStateOf } from '../../../../consensus/types.ts'
import { appended, baseAt, copyOf, entries, hardState, open, plain, refusal, simDisk } from './fixture.ts'

test('a new folder gives an empty log', async () => {
  const { recovered } = await open(simDisk().disk())
  expect(recovered).toEqual({
    hardState: hardState(0, 0, 0),
    incarnation: 0,
    base: { index: 0, term: 0, confState: confStateOf([]) },
    entries: [],
    isNew: true,
    repairs: []
  })
})

test('what was appended is there after a restart, and after the next one', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 3), hardState: hardState(1, 2, 0) })
  await appended(wal, { entries: entries(4, 6, 2, 3000), hardState: hardState(2, 0, 3) })
  sim.crash()
  const second = await open(sim.disk())
  expect(second.recovered.hardState).toEqual(hardState(2, 0, 3))
  expect(second.recovered.isNew).toBe(false)
  expect(plain(second.recovered.entries)).toEqual(plain([...entries(1, 3), ...entries(4, 6, 2, 3000)]))
  await appended(second.wal, { entries: entries(7, 7, 2) })
  await second.wal.close()
  const third = await open(sim.disk())
  expect(third.recovered.entries.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(third.recovered.repairs).toEqual([])
})

test('an append at or below the last index replaces the suffix', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 9), hardState: hardState(1, 0, 2) })
  await appended(wal, { entries: entries(4, 5, 3), hardState: hardState(3, 0, 2) })
  sim.crash()
  const { recovered } = await open(sim.disk())
  expect(plain(recovered.entries)).toEqual(plain([...entries(1, 3), ...entries(4, 5, 3)]))
})

test('a reset drops all entries and starts above the snapshot', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 9), hardState: hardState(1, 0, 2) })
  await appended(wal, {
    reset: baseAt(100, 4),
    entries: entries(101, 102, 4),
    hardState: hardState(4, 1, 100)
  })
  sim.crash()
  const { recovered } = await open(sim.disk())
  expect(recovered.base).toEqual(baseAt(100, 4))
  expect(recovered.entries.map(({ index }) => index)).toEqual([101, 102])
  expect(recovered.hardState).toEqual(hardState(4, 1, 100))
})

test('the incarnation is durable with and beside the log', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await new Promise<void>((resolve) => {
    wal.recordIncarnation(7, resolve)
  })
  sim.crash()
  expect((await open(sim.disk())).recovered.incarnation).toBe(7)
})

test('a folder of another node or cluster is refused', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await wal.close()
  const others = [
    { clusterId: 'f123456789abcdef0123456789abcdef', nodeId: 3 },
    { clusterId: '0123456789abcdef0123456789abcdef', nodeId: 4 }
  ]
  for (const identity of others) {
    const error = await refusal(open(copyOf(sim).disk(), undefined, identity))
    expect(error.code).toBe('DATA_FOLDER_FOREIGN')
    expect(error.message).toContain('segment-0000000001.wal')
  }
})

test('a torn tail is cleared before the next append, which may be shorter than it', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 2), hardState: hardState(1, 0, 0) })
  const path = sim.paths().find((name) => name.endsWith('.wal'))!
  const start = 2 * 4096
  await appended(wal, { entries: entries(3, 3, 1, 9000) })
  // Every other sector of the last write is missing, and nothing marked it as durable.
  for (let at = start; at < start + 12_288; at += 1024) sim.content(path).fill(0, at, at + 512)
  sim.crash()
  const second = await open(sim.disk())
  expect(second.recovered.repairs).toEqual(['segment-0000000001.wal: cut the incomplete batch 2 at 8192'])
  expect(second.recovered.entries.length).toBe(2)
  expect(
    sim
      .content(path)
      .subarray(start)
      .every((byte) => byte === 0)
  ).toBe(true)
  await appended(second.wal, { entries: entries(3, 4) })
  sim.crash()
  const third = await open(sim.disk())
  expect(third.recovered.repairs).toEqual([])
  expect(plain(third.recovered.entries)).toEqual(plain(entries(1, 4)))
})

test('a hard-state file that is gone or has a spoilt slot is renewed from the log, and told', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 2), hardState: hardState(4, 2, 0) })
  await wal.close()
  const path = sim.paths().find((name) => name.endsWith('hard-state'))!
  const spoils: [string, (copy: ReturnType<typeof simDisk>) => void][] = [
    [
      'was missing',
      (copy) => {
        copy.replace(path, undefined)
      }
    ],
    [
      'had 1 of 2 slots intact',
      (copy) => {
        copy.content(path)[9]! ^= 1
      }
    ],
    [
      'had 1 of 2 slots intact',
      (copy) => {
        copy.content(path)[5000]! ^= 1
      }
    ],
    [
      'had 0 of 2 slots intact',
      (copy) => {
        copy.content(path).fill(1)
      }
    ]
  ]
  for (const [told, spoil] of spoils) {
    const copy = copyOf(sim)
    spoil(copy)
    const second = await open(copy.disk())
    expect(second.recovered.hardState).toEqual(hardState(4, 2, 0))
    expect(second.recovered.repairs.join()).toContain(told)
    await second.wal.close()
    expect((await open(copy.disk())).recovered.repairs).toEqual([])
  }
})

test('a log without its segments is refused, and nothing is made in its place', async () => {
  const sim = simDisk()
  const { wal } = await open(sim.disk())
  await appended(wal, { entries: entries(1, 2), hardState: hardState(4, 2, 0) })
  await wal.close()
  for (const path of sim.paths().filter((name) => name.endsWith('.wal'))) sim.replace(path, undefined)
  const paths = sim.paths()
  const error = await refusal(open(sim.disk()))
  expect(error.code).toBe('WAL_CORRUPT')
  expect(error.details['hardState']).toEqual(hardState(4, 2, 0))
  expect(sim.paths()).toEqual(paths)
})
