import fc from 'fast-check'
import { expect, test } from 'vitest'
import { taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { EtaCalibration } from '../../../../optimizer/advice/eta-calibration.ts'
import { forecast } from '../../../../optimizer/advice/eta.ts'
import type { Forecast } from '../../../../optimizer/advice/eta.ts'
import { byArea, byArrival, byPriority, byTenant } from '../../../../optimizer/advice/orders.ts'
import type { ForecastOrder } from '../../../../optimizer/advice/orders.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import { fixedRunTimes } from '../../../../optimizer/sim/run-models.ts'
import { LiveNode } from '../../../../optimizer/sim/view.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { ClusterView, Policy, TaskView } from '../../../../scheduler/policy.ts'
import { knowing, logNormal, sourceOf } from '../../../helpers/forecasts.ts'
import { nodesOf, workloadOf } from '../../../helpers/workloads.ts'
import type { TaskSketch } from '../../../helpers/workloads.ts'

const steady = knowing((task) => logNormal(task.priority === 0 ? 100 : task.priority, 0.001))
const wild = knowing(() => logNormal(1000, 1))

function finishes(of: Forecast, count: number): (number | undefined)[] {
  return Array.from({ length: count }, (_, index) => {
    const p50At = of.task(taskId(index + 1))?.finish.p50At
    return p50At === undefined ? undefined : Math.round(p50At / 10) * 10
  })
}

test('tasks on one slot finish one after another', () => {
  const made = forecast(sourceOf([], [{ work: 0 }, { work: 0 }, { work: 0 }]), {
    estimator: steady,
    order: byArrival,
    seed: 1
  })
  expect(finishes(made, 3)).toEqual([100, 200, 300])
})

test('an attempt that runs has what is left of it, and those that wait come after', () => {
  const made = forecast(sourceOf([{ work: 0, at: 0 }], [{ work: 0 }], { now: 60 }), {
    estimator: steady,
    order: byArrival,
    seed: 1
  })
  expect(finishes(made, 2)).toEqual([100, 200])
  expect(made.task(taskId(1))?.start).toBeUndefined()
})

test('no attempt is forecast beyond its timeout, whether it waits or runs', () => {
  const limit = 1500
  const estimator = knowing(() => logNormal(400, 1, limit))
  const many = (sketch: TaskSketch): TaskSketch[] =>
    new Array<TaskSketch>(50).fill({ ...sketch, work: 0, limit, group: 1 })
  for (const seen of [5, 50, Infinity]) {
    const options = { estimator, order: byArrival, seed: 1, seen: () => seen }
    const waiting = forecast(sourceOf([], many({ work: 0 }), { nodes: 50 }), options)
    expect(waiting.group(taskId(1))?.finish.p90At).toBe(limit)
    const running = forecast(sourceOf(many({ work: 0, at: 0 }), [], { nodes: 50, now: 100 }), options)
    expect(running.group(taskId(1))?.finish.p90At).toBe(limit)
  }
})

test('a task starts after its needs, and a group is done with its last', () => {
  const waiting: TaskSketch[] = [
    { work: 0, group: 1 },
    { work: 0, group: 1, needs: [1] },
    { work: 0, group: 3 }
  ]
  const made = forecast(sourceOf([], waiting, { nodes: 2 }), { estimator: steady, order: byArrival, seed: 1 })
  expect(finishes(made, 3)).toEqual([100, 200, 100])
  expect(Math.round((made.group(taskId(1))?.finish.p50At ?? 0) / 10)).toBe(20)
})

test('a task whose need never ends, and one that fits nowhere, have no forecast', () => {
  const waiting: TaskSketch[] = [{ work: 0, needs: [77] }, { work: 0 }]
  const made = forecast(sourceOf([], waiting), { estimator: steady, order: byArrival, seed: 1 })
  expect([made.task(taskId(1)), made.group(taskId(1))]).toEqual([undefined, undefined])
  expect(made.task(taskId(2))).toBeDefined()
  const nowhere = forecast(
    { ...sourceOf([], [{ work: 0 }]), eligible: () => false },
    {
      estimator: steady,
      order: byArrival,
      seed: 1
    }
  )
  expect(nowhere.task(taskId(1))).toBeUndefined()
})

test('larger priorities come first under the policies that know them, not under fifo', () => {
  const source = (): ReturnType<typeof sourceOf> =>
    sourceOf(
      [],
      [
        { work: 0, name: 'low', priority: 100 },
        { work: 0, name: 'high', priority: 200 }
      ]
    )
  const by = (order: ForecastOrder): (number | undefined)[] =>
    finishes(forecast(source(), { estimator: steady, order, seed: 1 }), 2)
  expect(by(byPriority)).toEqual([300, 200])
  expect(by(byArrival)).toEqual([100, 300])
})

test('the learned order takes the least area first', () => {
  const long = knowing((task) => logNormal(task.name === 'long' ? 1000 : 100, 0.001))
  const source = sourceOf(
    [],
    [
      { work: 0, name: 'long' },
      { work: 0, name: 'short' }
    ]
  )
  expect(finishes(forecast(source, { estimator: long, order: byArea, seed: 1 }), 2)).toEqual([1100, 100])
})

test('under the learned order a task is as wide as its largest share of the nodes, and at least a slot', () => {
  const estimator = knowing((task) => logNormal(task.name === 'short' ? 100 : 300, 0.001))
  const waiting: TaskSketch[] = [
    { work: 0, name: 'long', resources: { cpu: 500 } },
    { work: 0, name: 'short', resources: { cpu: 4000 } },
    { work: 0, name: 'long' },
    { work: 0, name: 'short', resources: { memory: 1 } }
  ]
  const ranks = (cpu: number): number[] => {
    const source = sourceOf([], waiting)
    const nodes = nodesOf([1], 4).map((node) => new LiveNode({ ...node, resources: { cpu } }))
    const order = byArea(nodes)
    const tasks = [...source.waiting].map(({ task }) => order.rank(task, estimator.predict(task)))
    return tasks.map((rank) => Math.round(Math.exp(rank) / 100))
  }
  // All four cores are four slots; half a core is less than one.
  expect(ranks(4000)).toEqual([3, 4, 3, 1])
  expect(ranks(16_000)).toEqual([3, 1, 3, 1])
})

test('where tenants share, the one with the fewest running tasks goes first, running ones included', () => {
  const busy: TaskSketch[] = [
    { work: 0, tenant: 'many' },
    { work: 0, tenant: 'many' }
  ]
  const line: TaskSketch[] = [
    ...new Array<TaskSketch>(6).fill({ work: 0, tenant: 'many' }),
    { work: 0, tenant: 'one' }
  ]
  const source = sourceOf(busy, line, { nodes: 2 })
  const made = forecast(source, { estimator: steady, order: byTenant, seed: 1 })
  expect(finishes(made, 9)).toEqual([100, 100, 200, 300, 300, 400, 400, 500, 200])
})

const queues = fc.record({
  running: fc.integer({ min: 0, max: 6 }),
  waiting: fc.integer({ min: 1, max: 40 }),
  slots: fc.integer({ min: 1, max: 3 }),
  nodes: fc.integer({ min: 2, max: 3 }),
  now: fc.integer({ min: 0, max: 5000 }),
  seed: fc.nat()
})

test('in a queue without priorities, a later place never starts earlier; p50 is never past p90, and nothing is in the past', () => {
  fc.assert(
    fc.property(queues, ({ running, waiting, slots, nodes, now, seed }) => {
      const busy = Array.from({ length: Math.min(running, slots * nodes) }, () => ({ work: 0 }))
      const line = Array.from({ length: waiting }, () => ({ work: 0 }))
      const made = forecast(sourceOf(busy, line, { nodes, slots, now }), {
        estimator: wild,
        order: byArrival,
        seed
      })
      let before = { p50At: now, p90At: now }
      for (let index = 0; index < waiting; index++) {
        const task = made.task(taskId(busy.length + index + 1))
        expect(task?.start?.p50At).toBeGreaterThanOrEqual(before.p50At)
        expect(task?.start?.p90At).toBeGreaterThanOrEqual(before.p90At)
        expect(task?.finish.p90At).toBeGreaterThanOrEqual(task?.finish.p50At ?? Infinity)
        before = task?.start ?? before
      }
    }),
    { numRuns: 60 }
  )
})

test('the longer an attempt has run, the later it is expected to end', () => {
  const ends = [0, 500, 1000, 5000, 100_000].map((now) => {
    const made = forecast(sourceOf([{ work: 0, at: 0 }], [], { now }), {
      estimator: wild,
      order: byArrival,
      seed: 3
    })
    return made.task(taskId(1))?.finish.p50At ?? 0
  })
  expect(ends).toEqual([...ends].sort((a, b) => a - b))
  expect(ends.at(-1)).toBeGreaterThan(100_000)
})

test('one seed makes one forecast', () => {
  const make = (seed: number): unknown =>
    forecast(sourceOf([{ work: 0 }], [{ work: 0 }, { work: 0 }], { nodes: 2 }), {
      estimator: wild,
      order: byArrival,
      seed
    }).task(taskId(3))
  expect(make(5)).toEqual(make(5))
  expect(make(5)).not.toEqual(make(6))
})

/** A policy that has every tenth task's finish forecast when it becomes ready, and notes whether it came true. */
function watched(inner: Policy, calibration: EtaCalibration): Policy {
  let count = 0
  const look = (view: ClusterView): void => {
    const running = [...view.running()].flatMap((attempt) => {
      const task = view.task(attempt.taskId)
      return task === undefined ? [] : [{ task, node: attempt.node, since: attempt.placedAt }]
    })
    const ready: TaskView[] = [...view.ready()]
    const source = {
      now: view.now,
      nodes: view.nodes(),
      running,
      waiting: ready.map((task) => ({ task, waitsFor: [], notBefore: 0 })),
      eligible: (task: TaskView, node: Parameters<ClusterView['eligible']>[1]) => view.eligible(task, node)
    }
    const made = forecast(source, { estimator: wild, order: byArrival, seed: count })
    const id = ready.at(-1)?.id
    const finish = id === undefined ? undefined : made.task(id)?.finish
    if (id !== undefined && finish !== undefined) calibration.remember(id, made.at, finish)
  }
  return {
    ...inner,
    onReady: (task, view) => {
      inner.onReady(task, view)
      if (count++ % 10 === 0) look(view)
    },
    onFinished: (id, view) => {
      calibration.finished(id, view.now)
      inner.onFinished?.(id, view)
    }
  }
}

test('nine of ten tasks finish by their p90, and half by their p50, on a busy cluster', () => {
  const rng = createRng(11)
  let at = 0
  const sketches = Array.from({ length: 4000 }, (): TaskSketch => {
    at += Math.round(-Math.log(1 - rng.nextFloat()) * 230)
    const normal = Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
    return { work: Math.max(1, Math.round(1000 * Math.exp(normal))), at }
  })
  const calibration = new EtaCalibration()
  simulate(workloadOf(sketches), nodesOf([1, 1, 1, 1], 2), watched(policyFactory('fifo')(rng), calibration), {
    model: fixedRunTimes()
  })
  const { count, by50, by90 } = calibration.record
  expect(count).toBeGreaterThan(350)
  expect(by90).toBeGreaterThan(0.86)
  expect(by90).toBeLessThan(0.94)
  expect(by50).toBeGreaterThan(0.42)
  expect(by50).toBeLessThan(0.58)
})

test('a forecaster that is always too early is stretched until its p90 is true', () => {
  const rng = createRng(2)
  const calibration = new EtaCalibration()
  let kept = 0
  for (let id = 1; id <= 3000; id++) {
    const madeAt = id * 1000
    calibration.remember(taskId(id), madeAt, { p50At: madeAt + 10, p90At: madeAt + 20 })
    const shown = calibration.correct(madeAt, { p50At: madeAt + 10, p90At: madeAt + 20 })
    const end = madeAt + 100 * rng.nextFloat()
    if (id > 1000 && end <= shown.p90At) kept++
    calibration.finished(taskId(id), end)
  }
  expect(kept / 2000).toBeGreaterThan(0.87)
  expect(kept / 2000).toBeLessThan(0.93)
})

test('a burst of which nothing was known does not put off all that comes after it, and what is late again and again does', () => {
  const lateness = (burst: number): number => {
    const calibration = new EtaCalibration()
    for (let first = 1; first <= 64; first += burst) {
      const ids = Array.from({ length: burst }, (_, index) => taskId(first + index))
      for (const id of ids) calibration.remember(id, 0, { p50At: 1000, p90At: 2000 })
      for (const id of ids) calibration.finished(id, 600_000)
    }
    return calibration.correct(0, { p50At: 1000, p90At: 2000 }).p90At / 2000
  }
  expect(lateness(64)).toBeLessThan(3)
  expect(lateness(8)).toBeGreaterThan(6)
  expect(lateness(1)).toBeGreaterThan(8)
})

test('forecasts that were made before anything was known do not spoil those that come after', () => {
  const calibration = new EtaCalibration()
  const hours = (ms: number) => ({ p50At: ms * 1000, p90At: ms * 2000 })
  for (let id = 1; id <= 300; id++) calibration.remember(taskId(id), 0, hours(id))
  // A minute later it is known that all take a thousandth of that.
  calibration.revise(0, (id) => ({ p50At: id, p90At: id * 2 }))
  for (let id = 1; id <= 300; id++) calibration.finished(taskId(id), id % 2 === 0 ? id - 0.5 : id * 1.5)
  const { p50At } = calibration.correct(0, { p50At: 1000, p90At: 2000 })
  expect(p50At).toBeGreaterThan(800)
  expect(p50At).toBeLessThan(1250)
  // What was said first was nevertheless wrong, and the record says so.
  expect(calibration.record).toEqual({ count: 300, by50: 1, by90: 1 })
})

test('forecasts that were wide at first do not have the p90 of narrow ones fall onto their p50', () => {
  const calibration = new EtaCalibration()
  // Late by the p50, early by the p90: the one is put off, the other drawn in.
  for (let id = 1; id <= 60; id++) {
    calibration.remember(taskId(id), 0, { p50At: 10_000, p90At: 300_000 })
    calibration.finished(taskId(id), 20_000 + 100 * id)
  }
  const { p50At, p90At } = calibration.correct(0, { p50At: 40_000, p90At: 48_000 })
  expect(p50At).toBeGreaterThan(50_000)
  expect(p90At).toBeGreaterThanOrEqual(1.049 * p50At)
})

test('whatever came of earlier ones, a p90 is shown later than its p50, and a later p50 later than an earlier', () => {
  const forecasts = fc.record({
    p50: fc.integer({ min: 1, max: 1000 }),
    gap: fc.nat(1000),
    end: fc.nat(3000)
  })
  fc.assert(
    fc.property(fc.array(forecasts, { maxLength: 300 }), forecasts, (past, now) => {
      const calibration = new EtaCalibration()
      past.forEach(({ p50, gap, end }, index) => {
        calibration.remember(taskId(index + 1), 0, { p50At: p50, p90At: p50 + gap })
        calibration.finished(taskId(index + 1), end)
      })
      const shown = calibration.correct(0, { p50At: now.p50, p90At: now.p50 + now.gap })
      expect(shown.p90At).toBeGreaterThanOrEqual(1.049 * shown.p50At)
      const later = calibration.correct(0, { p50At: now.p50 + 1, p90At: now.p50 + now.gap + 1 })
      expect(later.p50At).toBeGreaterThan(shown.p50At)
    }),
    { numRuns: 100 }
  )
})

test('chance moves the forecast of a task whose run time is hardly known by little', () => {
  const wide = knowing(() => logNormal(60_000, 3))
  const made = [1, 2, 3, 4, 5, 6].map(
    (seed) =>
      forecast(sourceOf([], [{ work: 0 }]), { estimator: wide, order: byArrival, seed }).task(taskId(1))!
        .finish
  )
  for (const { p50At, p90At } of made) {
    expect(p50At).toBeGreaterThan(60_000 / 1.3)
    expect(p50At).toBeLessThan(60_000 * 1.3)
    expect(p90At).toBeGreaterThan(logNormal(60_000, 3).quantileMs(0.88))
    expect(p90At).toBeLessThan(logNormal(60_000, 3).quantileMs(0.93))
  }
})

/** How often a batch of a class finishes by its p90, the task in the middle of it and the last, over many clusters. */
function coldCoverage(
  seen: number,
  correlated: boolean,
  [between, within]: readonly [number, number] = [1, 0.7]
): { middle: number; last: number } {
  const [tasks, slots, rounds] = [60, 8, 120]
  const rng = createRng(29)
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - rng.nextFloat())) * Math.cos(2 * Math.PI * rng.nextFloat())
  const line = Array.from({ length: tasks }, (): TaskSketch => ({ work: 0, group: 1 }))
  const held = { middle: 0, last: 0 }
  for (let round = 0; round < rounds; round++) {
    // What is known after `seen` attempts, and what the class then is.
    const certainty = 1 / between ** 2 + seen / within ** 2
    const mean = normal() / Math.sqrt(certainty)
    const sigma = Math.sqrt(1 / certainty + within ** 2)
    const made = forecast(sourceOf([], line, { slots }), {
      estimator: knowing(() => logNormal(1000, sigma)),
      order: byArrival,
      seed: round,
      ...(correlated ? { seen: () => seen } : {})
    })
    const freeAt = new Array<number>(slots).fill(0)
    const ends = line.map(() => {
      const slot = freeAt.indexOf(Math.min(...freeAt))
      return (freeAt[slot]! += 1000 * Math.exp(mean + within * normal()))
    })
    if (ends[tasks / 2]! <= made.task(taskId(tasks / 2 + 1))!.finish.p90At) held.middle++
    if (Math.max(...ends) <= made.group(taskId(1))!.finish.p90At) held.last++
  }
  return { middle: held.middle / rounds, last: held.last / rounds }
}

test('a batch of a class that nobody has seen finishes by its p90 in nine of ten clusters, and so it stays as it is seen', () => {
  const shares = [
    ...[0, 5, 1000].map((seen) => coldCoverage(seen, true)),
    // Classes that differ by more, or by less, than is assumed.
    coldCoverage(0, true, [2, 0.7]),
    coldCoverage(0, true, [0.5, 1])
  ].flatMap(({ middle, last }) => [middle, last])
  expect(Math.min(...shares)).toBeGreaterThan(0.85)
  expect(Math.max(...shares)).toBeLessThan(0.985)
  // As if each task of a new class were one of its own, errors seem to cancel out.
  expect(coldCoverage(0, false).middle).toBeLessThan(0.82)
})
