/**
 * A seeded generator of log entries: commands that mostly fit the state at hand, mixed with stale, duplicate and absurd
 * ones. It follows a state of its own, so a log is a pure function of its seed.
 */
import type { FencingToken, NodeId } from '../../base/ids.ts'
import { incarnation, nodeId, peerId, taskId } from '../../base/ids.ts'
import type { Rng } from '../../base/prng.ts'
import { createRng } from '../../base/prng.ts'
import { durationMs, timestampMs } from '../../base/units.ts'
import { applyBatch } from '../../scheduler/apply/index.ts'
import type { AttemptReport, Command, CommandBatch, Origin } from '../../scheduler/commands.ts'
import { TASK_DEFAULTS } from '../../scheduler/defaults.ts'
import { dueCommands } from '../../scheduler/planner/duties.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import { createState } from '../../scheduler/state.ts'
import type { NodeOffer, Task, TaskSpec } from '../../scheduler/types.ts'

/** Entries of a log, one at a time, each fitted to the state after those before it. */
export function* generateLog(seed: number, entries: number): Generator<CommandBatch> {
  const rng = createRng(seed)
  const state = createState()
  let time = 1_700_000_000_000
  for (let entry = 0; entry < entries; entry++) {
    // Now and then the stamp goes backwards, as after a change of leader.
    time += rng.nextInt(20) === 0 ? -rng.nextInt(2_000) : rng.nextInt(800)
    const commands: Command[] = []
    const count = 1 + rng.nextInt(6)
    for (let index = 0; index < count; index++) commands.push(draw(rng, state))
    if (entry < 3)
      commands.unshift({ type: 'register-node', peerId: peerId(`p${entry}`), addresses: [], zone: 'a' })
    if (rng.nextInt(3) === 0) commands.push(...dueCommands(state, timestampMs(time), 5))
    const batch = { stampedAt: timestampMs(time), commands }
    yield batch
    applyBatch(state, batch, [])
  }
}

type Draw = (rng: Rng, state: SchedulerState) => Command

const DRAWS: readonly (readonly [weight: number, draw: Draw])[] = [
  [10, drawSubmit],
  [16, drawPlace],
  [7, drawCopy],
  [14, drawComplete],
  [4, drawStart],
  [5, drawStop],
  [4, (rng, state) => ({ type: 'cancel', origin: drawOrigin(rng, state), taskId: anyTask(rng, state) })],
  [2, () => ({ type: 'wake' })],
  [1, (rng, state) => ({ type: 'expire', taskId: anyTask(rng, state) })],
  [2, (rng) => ({ type: 'register-node', peerId: peerId(`p${rng.nextInt(5)}`), addresses: [], zone: 'a' })],
  [4, drawAnnounce],
  [1, drawEnd],
  [1, drawLeave],
  [1, drawSettings],
  [1, drawPublish],
  [2, drawJudge],
  [
    2,
    (rng, state) => ({ type: 'retire', before: timestampMs(Math.max(0, state.time - rng.nextInt(3_000))) })
  ],
  [1, () => ({ type: 'expire-keys' })]
]
const TOTAL = DRAWS.reduce((sum, [weight]) => sum + weight, 0)

function draw(rng: Rng, state: SchedulerState): Command {
  let left = rng.nextInt(TOTAL)
  for (const [weight, make] of DRAWS) {
    if (left < weight) return make(rng, state)
    left -= weight
  }
  return { type: 'wake' }
}

function pick<T>(rng: Rng, items: readonly T[]): T | undefined {
  return items.length === 0 ? undefined : items[rng.nextInt(items.length)]
}

/** Mostly one that exists. */
function anyNode(rng: Rng, state: SchedulerState): NodeId {
  const known = [...state.nodes.keys()].sort((a, b) => a - b)
  return rng.nextInt(12) === 0 ? nodeId(1 + rng.nextInt(8)) : (pick(rng, known) ?? nodeId(1))
}

/** Mostly one that is open. */
function openNode(rng: Rng, state: SchedulerState): NodeId {
  const open = [...state.nodes.values()].filter((node) => node.open && node.status === 'active')
  const ids = open.map((node) => node.id).sort((a, b) => a - b)
  return rng.nextInt(12) === 0 ? anyNode(rng, state) : (pick(rng, ids) ?? anyNode(rng, state))
}

function anyTask(rng: Rng, state: SchedulerState): ReturnType<typeof taskId> {
  return taskId(1 + rng.nextInt(state.nextTaskId + 2))
}

/** Mostly a new sequence, else a repeated, dropped or outdated one. */
function drawOrigin(rng: Rng, state: SchedulerState): Origin {
  const node = anyNode(rng, state)
  const current = Math.max(1, state.nodes.get(node)?.incarnation ?? 1)
  const number = rng.nextInt(10) === 0 ? Math.max(0, current - rng.nextInt(4) + 1) : current
  const session = state.sessions.get(node)?.find((candidate) => candidate.incarnation === number)
  const highest = Math.max(0, ...(session?.outcomes.keys() ?? []))
  const sequence = rng.nextInt(6) === 0 ? 1 + rng.nextInt(highest + 2) : highest + 1 + rng.nextInt(2)
  return {
    node,
    incarnation: incarnation(number),
    sequence,
    lowestOutstanding: Math.max(1, sequence - rng.nextInt(8))
  }
}

function drawSubmit(rng: Rng, state: SchedulerState): Command {
  const stale = rng.nextInt(25) === 0
  const firstId = taskId(stale ? Math.max(1, state.nextTaskId - 1) : state.nextTaskId + rng.nextInt(2))
  const tasks: TaskSpec[] = []
  const count = rng.nextInt(40) === 0 ? 0 : 1 + rng.nextInt(6)
  for (let index = 0; index < count; index++) tasks.push(drawSpec(rng, state, firstId + index))
  const keyed = rng.nextInt(4) === 0
  return {
    type: 'submit',
    origin: drawOrigin(rng, state),
    firstId,
    tasks,
    ...(keyed
      ? {
          idempotency: {
            key: `k${rng.nextInt(12)}`,
            fingerprint: `f${rng.nextInt(2)}`,
            ttlMs: durationMs(1 + rng.nextInt(4_000))
          }
        }
      : {})
  }
}

function drawSpec(rng: Rng, state: SchedulerState, id: number): TaskSpec {
  const needs = new Set<number>()
  while (rng.nextInt(2) === 0 && needs.size < 4) {
    const need = id - 1 - rng.nextInt(12)
    if (need > state.highestRetired || rng.nextInt(20) === 0) needs.add(Math.max(1, need))
    else break
  }
  if (rng.nextInt(60) === 0) needs.add(id + rng.nextInt(3))
  return {
    ...TASK_DEFAULTS,
    name: `class-${rng.nextInt(4)}`,
    executor: rng.nextInt(12) === 0 ? 'shell' : 'js',
    input: new Uint8Array(rng.nextInt(12) === 0 ? 1_500 : rng.nextInt(4)),
    needs: [...needs].map((need) => ({ id: taskId(need), as: `n${need}` })),
    priority: rng.nextInt(30) === 0 ? 1_000 : rng.nextInt(5),
    resources: rng.nextInt(3) === 0 ? { cpu: rng.nextInt(1_500) } : {},
    nodeSelector: rng.nextInt(8) === 0 ? { disk: 'ssd' } : {},
    retry: {
      maxAttempts: 1 + rng.nextInt(3),
      baseDelayMs: durationMs(100),
      maxDelayMs: durationMs(1_000)
    },
    scheduleToStartMs: durationMs(rng.nextInt(6) === 0 ? 1_500 : 0),
    delivery: rng.nextInt(5) === 0 ? 'at-most-once' : 'at-least-once',
    idempotent: rng.nextInt(2) === 0,
    notBefore: timestampMs(rng.nextInt(8) === 0 ? state.time + rng.nextInt(3_000) : 0),
    deadlineAt: timestampMs(rng.nextInt(8) === 0 ? state.time + rng.nextInt(3_000) : 0)
  }
}

function drawPlace(rng: Rng, state: SchedulerState): Command {
  const ready = [...state.ready].sort((a, b) => a - b)
  const node = openNode(rng, state)
  const current = state.nodes.get(node)?.incarnation ?? 1
  return {
    type: 'place',
    taskId: pick(rng, ready) ?? anyTask(rng, state),
    node,
    incarnation: incarnation(Math.max(0, current - (rng.nextInt(15) === 0 ? 1 : 0)))
  }
}

/** Mostly of something that may be copied, onto a node that is open. */
function drawCopy(rng: Rng, state: SchedulerState): Command {
  const held = [...state.tasks.values()].filter((task) => task.placement !== undefined)
  held.sort((a, b) => a.id - b.id)
  const fit = held.filter((task) => task.spec.idempotent && task.spec.delivery === 'at-least-once')
  const task = pick(rng, rng.nextInt(8) === 0 ? held : fit)
  const node = openNode(rng, state)
  return {
    type: 'place-copy',
    taskId: task?.id ?? anyTask(rng, state),
    node,
    incarnation: incarnation(state.nodes.get(node)?.incarnation ?? 1),
    of: drawToken(rng, state, task)
  }
}

/** Of a task that lives, or of one that left an attempt behind. */
function liveAttempt(rng: Rng, state: SchedulerState): Task | undefined {
  const held = [...state.tasks.values(), ...state.lingering.values()]
    .filter((task) => task.placement !== undefined)
    .sort((a, b) => a.id - b.id)
  return pick(rng, held)
}

function drawToken(rng: Rng, state: SchedulerState, task: Task | undefined): FencingToken {
  const attempt = task?.copy !== undefined && rng.nextInt(2) === 0 ? task.copy : task?.placement
  const token = attempt?.token ?? state.lastToken
  return Math.max(0, token - (rng.nextInt(10) === 0 ? 1 + rng.nextInt(3) : 0)) as FencingToken
}

function drawReport(rng: Rng, state: SchedulerState): AttemptReport {
  const task = liveAttempt(rng, state)
  const outcomes = ['succeeded', 'succeeded', 'succeeded', 'failed', 'stopped', 'not-started'] as const
  const outcome = pick(rng, outcomes) ?? 'failed'
  const startedAt = timestampMs(state.time)
  return {
    taskId: task?.id ?? anyTask(rng, state),
    token: drawToken(rng, state, task),
    outcome,
    result: new Uint8Array(outcome === 'succeeded' ? (rng.nextInt(8) === 0 ? 1_200 : 3) : 0),
    error:
      outcome === 'failed'
        ? { code: 'EXIT_CODE', message: `exit ${rng.nextInt(9)} äß`, retryable: rng.nextInt(4) > 0 }
        : undefined,
    startedAt,
    finishedAt: startedAt,
    runMs: durationMs(rng.nextInt(1_000)),
    peakMemoryBytes: rng.nextInt(1_000_000)
  }
}

function drawComplete(rng: Rng, state: SchedulerState): Command {
  const retryDelayMs = durationMs(rng.nextInt(2) * rng.nextInt(900))
  return { type: 'complete', report: drawReport(rng, state), retryDelayMs }
}

function drawStart(rng: Rng, state: SchedulerState): Command {
  const task = liveAttempt(rng, state)
  return {
    type: 'start',
    taskId: task?.id ?? anyTask(rng, state),
    token: drawToken(rng, state, task),
    startedAt: timestampMs(state.time + 1)
  }
}

function drawStop(rng: Rng, state: SchedulerState): Command {
  const task = liveAttempt(rng, state)
  const reasons = ['cancel', 'timeout', 'drain', 'replace'] as const
  return {
    type: 'stop',
    taskId: task?.id ?? anyTask(rng, state),
    token: drawToken(rng, state, task),
    reason: pick(rng, reasons) ?? 'drain'
  }
}

function drawOffer(rng: Rng): NodeOffer {
  return {
    executors: rng.nextInt(4) === 0 ? ['js', 'shell'] : ['js'],
    handlers: {},
    labels: rng.nextInt(2) === 0 ? { disk: 'ssd' } : {},
    zone: 'a',
    slots: 1 + rng.nextInt(5),
    resources: rng.nextInt(2) === 0 ? { cpu: 2_000 } : {},
    url: '',
    addresses: [],
    version: '0'
  }
}

function drawAnnounce(rng: Rng, state: SchedulerState): Command {
  const node = anyNode(rng, state)
  const current = state.nodes.get(node)?.incarnation ?? 0
  const isOpen = state.nodes.get(node)?.open === true
  const outbox: AttemptReport[] = []
  for (let left = rng.nextInt(3); left > 0; left--) outbox.push(drawReport(rng, state))
  return {
    type: 'announce',
    node,
    incarnation: incarnation(
      Math.max(0, current + (isOpen ? (rng.nextInt(4) === 0 ? 1 : 0) : 1) - (rng.nextInt(12) === 0 ? 1 : 0))
    ),
    offer: drawOffer(rng),
    outbox,
    retryDelayMs: durationMs(rng.nextInt(2) * 200)
  }
}

function drawEnd(rng: Rng, state: SchedulerState): Command {
  const node = anyNode(rng, state)
  const current = state.nodes.get(node)?.incarnation ?? 0
  return {
    type: 'end-incarnation',
    node,
    incarnation: incarnation(Math.max(0, current + rng.nextInt(3) - 1)),
    reason: rng.nextInt(2) === 0 ? 'lost' : 'stopped',
    retryDelayMs: durationMs(0)
  }
}

function drawLeave(rng: Rng, state: SchedulerState): Command {
  const leaving = [...state.nodes.values()].filter((node) => node.status === 'leaving')
  const node = pick(rng, leaving)?.id ?? anyNode(rng, state)
  if (rng.nextInt(3) > 0) return { type: 'remove-node', node, origin: drawOrigin(rng, state) }
  return rng.nextInt(3) === 0 ? { type: 'leave', node } : { type: 'end-incarnation', node, ...ENDING }
}

const ENDING = { incarnation: incarnation(1), reason: 'stopped', retryDelayMs: durationMs(0) } as const

function drawPublish(rng: Rng, state: SchedulerState): Command {
  return {
    type: 'publish-model',
    ...(rng.nextInt(2) === 0 ? { origin: drawOrigin(rng, state) } : {}),
    weights: new Uint8Array(rng.nextInt(6)).fill(rng.nextInt(256)),
    trainedOn: rng.nextInt(1_000),
    evaluation: new Uint8Array(rng.nextInt(3))
  }
}

function drawJudge(rng: Rng, state: SchedulerState): Command {
  const verdicts = ['promote', 'promote', 'reject', 'roll-back'] as const
  return {
    type: 'judge-model',
    ...(rng.nextInt(2) === 0 ? { origin: drawOrigin(rng, state) } : {}),
    version: Math.max(0, state.nextModelVersion - 1 - rng.nextInt(4)),
    verdict: pick(rng, verdicts) ?? 'reject',
    ...(rng.nextInt(4) === 0 ? { expected: 'shadow' } : {}),
    toPrevious: rng.nextInt(2) === 0,
    reason: `reason ${rng.nextInt(9)}`,
    ...(rng.nextInt(3) === 0 ? { evaluation: new Uint8Array(rng.nextInt(9)) } : {})
  }
}

function drawSettings(rng: Rng): Command {
  return {
    type: 'set-settings',
    settings: {
      historyTasks: 20 + rng.nextInt(60),
      leaseMs: durationMs(rng.nextInt(3_000)),
      ...(rng.nextInt(2) === 0 ? { policy: rng.nextInt(2) === 0 ? 'learned' : 'least-loaded' } : {}),
      ...(rng.nextInt(3) === 0 ? { policyMode: rng.nextInt(2) === 0 ? 'auto' : 'fixed' } : {})
    },
    ...(rng.nextInt(3) === 0 ? { expectedPolicyChoice: rng.nextInt(12) } : {}),
    ...(rng.nextInt(3) === 0 ? { reason: `reason ${rng.nextInt(9)}` } : {}),
    ...(rng.nextInt(3) === 0 ? { returns: 1 + rng.nextInt(300) } : {})
  }
}
