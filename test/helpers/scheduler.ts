/** Builders for task machine tests: a small cluster, tasks with defaults, and `apply` with its events at hand. */
import { incarnation, nodeId, peerId, taskId } from '../../base/ids.ts'
import type { FencingToken } from '../../base/ids.ts'
import { durationMs, timestampMs } from '../../base/units.ts'
import { applyBatch } from '../../scheduler/apply/index.ts'
import type { AttemptReport, Command, Origin } from '../../scheduler/commands.ts'
import { TASK_DEFAULTS } from '../../scheduler/defaults.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import { createState } from '../../scheduler/state.ts'
import type { NodeOffer, Outcome, Task, TaskSpec } from '../../scheduler/types.ts'

export const START = 1_700_000_000_000

export function spec(overrides: Partial<TaskSpec> = {}): TaskSpec {
  return { ...TASK_DEFAULTS, needs: [], name: 'work', executor: 'js', ...overrides }
}

export function needs(...ids: number[]): TaskSpec['needs'] {
  return ids.map((id) => ({ id: taskId(id), as: `n${id}` }))
}

export function offer(overrides: Partial<NodeOffer> = {}): NodeOffer {
  return {
    executors: ['js', 'shell'],
    handlers: { double: 'abc' },
    labels: { disk: 'ssd' },
    zone: 'a',
    slots: 4,
    resources: { cpu: 4_000 },
    url: '',
    addresses: [],
    version: '0',
    ...overrides
  }
}

export function origin(sequence: number, overrides: Partial<Origin> = {}): Origin {
  return { node: nodeId(1), incarnation: incarnation(1), sequence, lowestOutstanding: 1, ...overrides }
}

export function report(task: number, token: number, overrides: Partial<AttemptReport> = {}): AttemptReport {
  return {
    taskId: taskId(task),
    token: token as FencingToken,
    outcome: 'succeeded',
    result: new Uint8Array(0),
    error: undefined,
    startedAt: timestampMs(START),
    finishedAt: timestampMs(START + 5),
    runMs: durationMs(5),
    peakMemoryBytes: 1_000,
    ...overrides
  }
}

export const failure = { code: 'EXIT_CODE', message: 'exit code 1', retryable: true }

/** A state with what one needs to drive it by hand. */
export class Machine {
  readonly state: SchedulerState
  now = START
  private sequence = 0

  constructor(state = createState()) {
    this.state = state
    this.sequence = state.nextOrder + 1_000_000
  }

  /** Applies commands as one entry at `now`; returns its events. */
  apply(...commands: Command[]): SchedulerEvent[] {
    const events: SchedulerEvent[] = []
    applyBatch(this.state, { stampedAt: timestampMs(this.now), commands }, events)
    return events
  }

  /** Registers and announces nodes 1 to `count`. */
  withNodes(count: number, overrides: Partial<NodeOffer> = {}): this {
    for (let id = 1; id <= count; id++) {
      this.apply({ type: 'register-node', peerId: peerId(`p${id}`), addresses: [], zone: 'a' })
      this.announce(id, 1, overrides)
    }
    return this
  }

  announce(node: number, number: number, overrides: Partial<NodeOffer> = {}): SchedulerEvent[] {
    return this.apply({
      type: 'announce',
      node: nodeId(node),
      incarnation: incarnation(number),
      offer: offer(overrides),
      outbox: [],
      retryDelayMs: durationMs(0)
    })
  }

  /** Submits tasks at the next free id; returns the first id and the outcome. */
  submit(
    tasks: readonly TaskSpec[],
    extra: { key?: string; fingerprint?: string; ttlMs?: number; origin?: Origin; firstId?: number } = {}
  ): Outcome {
    const { key, fingerprint = 'f', ttlMs = 60_000 } = extra
    const events = this.apply({
      type: 'submit',
      origin: extra.origin ?? this.nextOrigin(),
      firstId: taskId(extra.firstId ?? this.state.nextTaskId),
      tasks,
      ...(key === undefined ? {} : { idempotency: { key, fingerprint, ttlMs: durationMs(ttlMs) } })
    })
    return outcomeOf(events)
  }

  nextOrigin(): Origin {
    const sequence = ++this.sequence
    return origin(sequence, { lowestOutstanding: sequence })
  }

  cancel(id: number): Outcome {
    return outcomeOf(this.apply({ type: 'cancel', origin: this.nextOrigin(), taskId: taskId(id) }))
  }

  /** Places a task on a node's current incarnation; returns the token, or 0 when it was refused. */
  place(id: number, node: number): number {
    const number = this.state.nodes.get(nodeId(node))?.incarnation ?? incarnation(0)
    const [event] = this.apply({ type: 'place', taskId: taskId(id), node: nodeId(node), incarnation: number })
    return event?.type === 'task-placed' ? event.placement.token : 0
  }

  /** Copies a task's attempt onto a node's current incarnation; returns the token, or 0 when it was refused. */
  copy(id: number, node: number, of = this.task(id)?.placement?.token ?? 0): number {
    const number = this.state.nodes.get(nodeId(node))?.incarnation ?? incarnation(0)
    const command = { taskId: taskId(id), node: nodeId(node), incarnation: number, of: of as FencingToken }
    const [event] = this.apply({ type: 'place-copy', ...command })
    return event?.type === 'task-placed' ? event.placement.token : 0
  }

  complete(id: number, token: number, overrides: Partial<AttemptReport> = {}, delayMs = 0): SchedulerEvent[] {
    return this.apply({
      type: 'complete',
      report: report(id, token, overrides),
      retryDelayMs: durationMs(delayMs)
    })
  }

  stop(id: number, token: number, reason: 'cancel' | 'timeout' | 'drain' | 'replace'): SchedulerEvent[] {
    return this.apply({ type: 'stop', taskId: taskId(id), token: token as FencingToken, reason })
  }

  endIncarnation(node: number, number: number): SchedulerEvent[] {
    return this.apply({
      type: 'end-incarnation',
      node: nodeId(node),
      incarnation: incarnation(number),
      reason: 'lost',
      retryDelayMs: durationMs(0)
    })
  }

  task(id: number): Task | undefined {
    return this.state.tasks.get(taskId(id))
  }

  /** Status of a task, live or ended. */
  status(id: number): string {
    return this.task(id)?.status ?? this.state.tombstones.get(taskId(id))?.status ?? 'absent'
  }

  /** Code of the error that an ended task was given, before it was drained. */
  errorCode(id: number): string | undefined {
    return this.state.changes.history.get(taskId(id))?.error?.code
  }

  heldBy(node: number): number {
    return this.state.nodes.get(nodeId(node))?.placements.size ?? 0
  }
}

export function outcomeOf(events: readonly SchedulerEvent[]): Outcome {
  const found = events.find((event) => event.type === 'outcome')
  if (found === undefined) throw new Error('no outcome among the events')
  return found.outcome
}

/** Types of events, for comparing sequences. */
export function types(events: readonly SchedulerEvent[]): string[] {
  return events.map((event) => event.type)
}
