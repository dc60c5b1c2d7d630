/**
 * What the task machine costs, without log, network and disk: one JSON object on standard output.
 *
 * `apply`: submit, place and complete of no-op tasks in entries of 500, the planner's work and the drain included, state
 * rows drained between placement and completion as a node under load does. `codec`: entries of single submissions.
 * Microseconds are means over rounds after a warm-up, garbage collection included; rates are medians.
 */
import { Command as Arguments } from 'commander'
import type { FencingToken } from '../base/ids.ts'
import { incarnation, nodeId, peerId, taskId } from '../base/ids.ts'
import { createRng } from '../base/prng.ts'
import { durationMs, timestampMs } from '../base/units.ts'
import { applyBatch } from '../scheduler/apply/index.ts'
import { decodeBatch, encodeBatch } from '../scheduler/codec.ts'
import type { Command, Origin } from '../scheduler/commands.ts'
import { TASK_DEFAULTS } from '../scheduler/defaults.ts'
import type { SchedulerEvent } from '../scheduler/events.ts'
import { createPlanner } from '../scheduler/planner/planner.ts'
import { policyFactory } from '../scheduler/policies/index.ts'
import { drainChanges } from '../scheduler/records.ts'
import type { SchedulerState } from '../scheduler/state.ts'
import { createState } from '../scheduler/state.ts'

const BATCH = 500
const ROUNDS = 120
const WARM_UP = 30
const NODES = 3

const body = { ...TASK_DEFAULTS, name: 'noop', executor: 'js', handler: 'noop', needs: [] }

function cluster(slots: number): SchedulerState {
  const state = createState()
  const commands: Command[] = []
  for (let id = 1; id <= NODES; id++) {
    commands.push({ type: 'register-node', peerId: peerId(`p${id}`), addresses: [], zone: '' })
    commands.push({
      type: 'announce',
      node: nodeId(id),
      incarnation: incarnation(1),
      offer: {
        executors: ['js'],
        handlers: { noop: '1' },
        labels: {},
        zone: '',
        slots,
        resources: {},
        url: '',
        addresses: [],
        version: ''
      },
      outbox: [],
      retryDelayMs: durationMs(0)
    })
  }
  applyBatch(state, { stampedAt: timestampMs(1_700_000_000_000), commands }, [])
  return state
}

function origin(sequence: number): Origin {
  return { node: nodeId(1), incarnation: incarnation(1), sequence, lowestOutstanding: sequence }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Microseconds a task, by stage. */
function measureApply(): Record<string, number> {
  const state = cluster(BATCH)
  const policy = policyFactory('fifo')(createRng(1))
  const planner = createPlanner({ state, policy, excluded: () => false })
  const stages: Record<string, number[]> = { plan: [], codec: [], apply: [], drain: [], total: [] }
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const spent: Record<string, number> = { plan: 0, codec: 0, apply: 0, drain: 0 }
    const timed = <T>(stage: string, run: () => T): T => {
      const start = process.hrtime.bigint()
      const value = run()
      spent[stage] = (spent[stage] ?? 0) + Number(process.hrtime.bigint() - start)
      return value
    }
    const now = timestampMs(1_700_000_000_100 + round)
    const events: SchedulerEvent[] = []
    const turn = (commands: Command[]): void => {
      const batch = timed('plan', () => {
        planner.project(commands)
        commands.push(...planner.plan(now, BATCH))
        return planner.seal()
      })
      const entry = timed('codec', () => decodeBatch(encodeBatch({ stampedAt: now, commands })))
      events.length = 0
      timed('apply', () => {
        applyBatch(state, entry, events)
      })
      timed('plan', () => {
        planner.settle(batch, events)
      })
      timed('drain', () => drainChanges(state))
    }
    const tasks = Array.from({ length: BATCH }, () => ({ ...body, input: new Uint8Array(16) }))
    turn([{ type: 'submit', origin: origin(round + WARM_UP + 1), firstId: state.nextTaskId, tasks }])
    const done: Command[] = []
    for (const event of events) {
      if (event.type !== 'task-placed') continue
      done.push({
        type: 'complete',
        report: {
          taskId: event.task.id,
          token: event.placement.token,
          outcome: 'succeeded',
          result: new Uint8Array(8),
          error: undefined,
          startedAt: now,
          finishedAt: now,
          runMs: durationMs(1),
          peakMemoryBytes: 0
        },
        retryDelayMs: durationMs(0)
      })
    }
    turn(done)
    if (round < 0) continue
    let total = 0
    for (const [stage, nanos] of Object.entries(spent)) {
      stages[stage]?.push(nanos / 1000 / BATCH)
      if (stage === 'apply' || stage === 'drain') total += nanos
    }
    stages['total']?.push(total / 1000 / BATCH)
  }
  return Object.fromEntries(
    Object.entries(stages).map(([stage, values]) => [stage, Number(mean(values).toFixed(2))])
  )
}

/** Commands a second through encode and decode. */
function measureCodec(commands: readonly Command[]): number {
  const rates: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    decodeBatch(encodeBatch({ stampedAt: timestampMs(1_700_000_000_000), commands }))
    rates.push((commands.length * 1e9) / Number(process.hrtime.bigint() - start))
  }
  return Math.round(median(rates))
}

/** Placements a second of one policy, among a hundred thousand tasks that no node can take. */
function measurePlanner(policyName: string): number {
  const state = cluster(10_000)
  const stuck = Array.from({ length: 1_000 }, () => ({ ...body, executor: 'none' }))
  let sequence = 1
  for (let round = 0; round < 100; round++) {
    const submit: Command = {
      type: 'submit',
      origin: origin(sequence++),
      firstId: state.nextTaskId,
      tasks: stuck
    }
    applyBatch(state, { stampedAt: timestampMs(1_700_000_000_000), commands: [submit] }, [])
  }
  const planner = createPlanner({
    state,
    policy: policyFactory(policyName)(createRng(1)),
    excluded: () => false
  })
  const rates: number[] = []
  for (let round = 0; round < 20; round++) {
    const tasks = Array.from({ length: 1_000 }, () => body)
    const submit: Command = { type: 'submit', origin: origin(sequence++), firstId: state.nextTaskId, tasks }
    planner.project([submit])
    const start = process.hrtime.bigint()
    const placements = planner.plan(timestampMs(1_700_000_000_000), 1_000)
    rates.push((placements.length * 1e9) / Number(process.hrtime.bigint() - start))
    const events: SchedulerEvent[] = []
    const commands = [submit, ...placements]
    const batch = planner.seal()
    applyBatch(state, { stampedAt: timestampMs(1_700_000_000_000), commands }, events)
    planner.settle(batch, events)
  }
  return Math.round(median(rates))
}

const submits = Array.from({ length: BATCH }, (_, index): Command => ({
  type: 'submit',
  origin: origin(index + 1),
  firstId: taskId(index + 1),
  tasks: [body]
}))
const places = Array.from({ length: BATCH }, (_, index): Command => ({
  type: 'place',
  taskId: taskId(index + 1),
  node: nodeId(1),
  incarnation: incarnation(1)
}))
const starts = Array.from({ length: BATCH }, (_, index): Command => ({
  type: 'start',
  taskId: taskId(index + 1),
  token: (index + 1) as FencingToken,
  startedAt: timestampMs(1_700_000_000_000)
}))

export function run(argv: string[]): Promise<number> {
  // It has no options, but for the one that all benchmarks take: one JSON object is all that it ever prints.
  new Arguments('scheduler')
    .description('What the task machine costs, without log, network and disk.')
    .option('--json', 'print one JSON object last')
    .parse(argv, { from: 'user' })
  console.log(
    JSON.stringify({
      name: 'scheduler',
      batch: BATCH,
      microsecondsPerTask: measureApply(),
      codecCommandsPerSecond: {
        submit: measureCodec(submits),
        place: measureCodec(places),
        start: measureCodec(starts)
      },
      placementsPerSecond: {
        fifo: measurePlanner('fifo'),
        leastLoaded: measurePlanner('least-loaded')
      }
    })
  )
  return Promise.resolve(0)
}
