/**
 * Random work with crashes at random moments, against an oracle that knows what each prefix of the work makes. After a
 * crash the log must be the state after some prefix: one that holds everything acknowledged and nothing never asked for.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import type { Rng } from '../../../../base/prng.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { Entry, HardState } from '../../../../consensus/types.ts'
import type { LogBase, RecoveredLog, WalAppend } from '../../../../consensus/wal/types.ts'
import type { Wal } from '../../../../runtime/wal/wal.ts'
import type { SimDisk } from '../../../../sim/disk-types.ts'
import { SEGMENT_BYTES, baseAt, entries, open, plain, simDisk } from './fixture.ts'
import { createVirtualTime } from './virtual-time.ts'
import type { VirtualTime } from './virtual-time.ts'

/** The log as it should be. */
interface Model {
  readonly hardState: HardState
  readonly incarnation: number
  readonly base: LogBase
  readonly entries: readonly Entry[]
}

/** One piece of work: how the model changes by it and by each part of it that may be durable alone. */
interface Work {
  readonly start: (wal: Wal, onDurable: () => void) => void
  readonly after: Model
  readonly partly: readonly Model[]
}

const EMPTY: Model = {
  hardState: { term: 0, vote: 0, commit: 0 },
  incarnation: 0,
  base: { index: 0, term: 0, confState: confStateOf([]) },
  entries: []
}

function lastIndexOf(model: Model): number {
  return model.base.index + model.entries.length
}

function termAt(model: Model, index: number): number {
  return index === model.base.index
    ? model.base.term
    : (model.entries[index - model.base.index - 1]?.term ?? 0)
}

/** The model after an append of which the first `taken` entries and perhaps the commit index are there. */
function afterAppend(before: Model, append: WalAppend, taken: number): Model {
  const base = append.reset ?? before.base
  const some = append.entries.slice(0, taken)
  const kept = append.reset === undefined ? before.entries : []
  const from = (some[0]?.index ?? base.index + kept.length + 1) - base.index - 1
  const whole = taken === append.entries.length
  const { term, vote, commit } = append.hardState ?? before.hardState
  return {
    ...before,
    base,
    entries: [...kept.slice(0, from), ...some],
    hardState: { term, vote, commit: Math.max(whole ? commit : before.hardState.commit, base.index) }
  }
}

function randomAppend(rng: Rng, before: Model): Work {
  const term = before.hardState.term + (rng.nextInt(4) === 0 ? 1 : 0)
  const voted = term === before.hardState.term ? before.hardState.vote : 0
  const vote = voted === 0 ? rng.nextInt(3) : voted
  const reset = rng.nextInt(12) === 0 ? baseAt(lastIndexOf(before) + 1 + rng.nextInt(5), term) : undefined
  const floor = reset?.index ?? before.hardState.commit
  const last = reset?.index ?? lastIndexOf(before)
  const from = rng.nextInt(3) === 0 ? floor + 1 + rng.nextInt(last - floor + 1) : last + 1
  const count = rng.nextInt(5)
  const bytes = [10, 600, 5000, 20_000][rng.nextInt(4)] ?? 10
  const made = entries(from, from + count - 1, term, rng.nextInt(bytes))
  // A suffix is replaced only by an append that has entries.
  const end = made.at(-1)?.index ?? last
  const commit =
    rng.nextInt(2) === 0 ? Math.max(floor, before.hardState.commit) : floor + rng.nextInt(end - floor + 1)
  const append = { entries: made, hardState: { term, vote, commit }, ...(reset && { reset }) }
  return {
    start: (wal, onDurable) => {
      wal.append(append, onDurable)
    },
    after: afterAppend(before, append, made.length),
    partly: made.map((_, i) => afterAppend(before, append, i))
  }
}

function randomWork(rng: Rng, before: Model): Work {
  const kind = rng.nextInt(10)
  if (kind === 0) {
    const incarnation = before.incarnation + 1
    return {
      start: (wal, onDurable) => {
        wal.recordIncarnation(incarnation, onDurable)
      },
      after: { ...before, incarnation },
      partly: []
    }
  }
  const { commit } = before.hardState
  if (kind <= 2 && commit > before.base.index) {
    const index = before.base.index + 1 + rng.nextInt(commit - before.base.index)
    const base = baseAt(index, termAt(before, index), [1, 2, index])
    return {
      start: (wal, onDurable) => {
        wal.compact(base).then(onDurable, () => undefined)
      },
      after: { ...before, base, entries: before.entries.slice(index - before.base.index) },
      partly: []
    }
  }
  return randomAppend(rng, before)
}

/** The comparable form of a log. The commit index stands apart: it may be older, for it is not synced by itself. */
function shape({ base, entries: log, incarnation, hardState }: Model | RecoveredLog): string {
  return JSON.stringify([base, plain(log), incarnation, hardState.term, hardState.vote])
}

/** One life of a node: random work until a crash or an orderly end. Returns the models that may be found afterwards. */
async function live(rng: Rng, sim: SimDisk, time: VirtualTime, before: Model): Promise<readonly Model[]> {
  const opening = open(sim.disk(), {
    segmentBytes: SEGMENT_BYTES,
    maxBatchBytes: 4096 * (1 + rng.nextInt(10))
  })
  if (rng.nextInt(8) === 0) {
    await time.run(rng.nextInt(20))
    sim.crash()
    opening.catch(() => undefined)
    return [before]
  }
  await time.run()
  const { wal, recovered } = await opening
  expect(shape(recovered)).toBe(shape(before))
  expect(recovered.hardState.commit).toBeGreaterThanOrEqual(recovered.base.index)
  expect(recovered.hardState.commit).toBeLessThanOrEqual(before.hardState.commit)

  const possible: Model[] = [{ ...before, hardState: recovered.hardState }]
  let acknowledged = 0
  let latest = possible[0]!
  // Short lives too: what a crash left behind must not only be harmless because it was written over.
  for (let left = rng.nextInt(rng.nextInt(2) === 0 ? 4 : 30); left > 0; left--) {
    const work = randomWork(rng, latest)
    possible.push(...work.partly, work.after)
    const place = possible.length - 1
    latest = work.after
    work.start(wal, () => {
      // A compaction is told only once its files are gone, so after later work.
      acknowledged = Math.max(acknowledged, place)
    })
    if (rng.nextInt(4) === 0) wal.tick()
    if (rng.nextInt(3) > 0) await time.run(rng.nextInt(6))
  }
  if (rng.nextInt(4) === 0) {
    const closing = wal.close()
    await time.run()
    await closing
    expect(possible[acknowledged]).toBe(latest)
  }
  sim.crash({ power: rng.nextInt(4) > 0 })
  return possible.slice(acknowledged)
}

async function lives(seed: number): Promise<void> {
  const rng = createRng(seed)
  const time = createVirtualTime()
  const sim = simDisk({ rng: rng.fork(), schedule: time.schedule })
  let possible: readonly Model[] = [EMPTY]
  for (let life = 0; life < 8; life++) {
    // What is found is looked at on a copy of the disk, so that the next life meets it as the crash left it.
    const copy = simDisk()
    for (const path of sim.paths()) copy.replace(path, sim.content(path).slice())
    const { recovered } = await open(copy.disk())
    const found = possible.findLast((model) => shape(model) === shape(recovered))
    expect(found === undefined ? shape(recovered) : 'found').toBe('found')
    possible = await live(rng, sim, time, found!)
    await time.run()
  }
}

test('after any crash the log holds everything acknowledged and nothing else', async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 0x7fff_ffff }), lives), { numRuns: 50 })
})
