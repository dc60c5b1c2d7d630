/**
 * An independent check of the task machine's invariants (T2, T3, T5, T6, copies, and the bookkeeping below them), by plain scans
 * over the whole state. Shares no code with `apply`.
 */
import type { TaskId } from '../../base/ids.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Placement, Resources } from '../../scheduler/types.ts'

/** Checks that hold over a history need memory: one checker per state. */
export class InvariantChecker {
  private lastToken = 0
  private lastTime = 0
  private readonly ended = new Map<TaskId, string>()
  private readonly placements = new Map<TaskId, number>()
  /** Attempts that are live by the events, and tasks that one of them succeeded. */
  private readonly live = new Map<number, TaskId>()
  private readonly told = new Set<number>()
  private readonly succeeded = new Set<TaskId>()

  /** Call after each entry. Throws with what is wrong. */
  check(state: SchedulerState, events: readonly SchedulerEvent[]): void {
    this.checkEvents(state, events)
    this.checkTasks(state)
    this.checkLive(state)
    checkNodes(state)
    checkPins(state)
    assert(state.lastToken >= this.lastToken, 'tokens never fall')
    assert(state.time >= this.lastTime, 'state time never falls')
    this.lastToken = state.lastToken
    this.lastTime = state.time
  }

  private checkEvents(state: SchedulerState, events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type === 'task-placed') {
        const { token } = event.placement
        const last = this.placements.get(event.task.id) ?? 0
        assert(token > last, `T2: token ${token} of t-${event.task.id} after ${last}`)
        assert(token <= state.lastToken, 'T2: a token comes from the counter')
        assert(!this.ended.has(event.task.id), `T3: t-${event.task.id} was placed after its end`)
        this.placements.set(event.task.id, token)
        this.live.set(token, event.task.id)
      }
      if (event.type === 'task-stopping') this.told.add(event.placement.token)
      if (event.type === 'attempt-ended') this.checkEnd(event)
      if (event.type === 'task-ended') {
        assert(!this.ended.has(event.row.id), `T3: t-${event.row.id} ended twice`)
        this.ended.set(event.row.id, event.row.status)
      }
    }
    for (const [id, status] of this.ended) {
      assert(!state.tasks.has(id), `T3: t-${id} lives after its end`)
      const tombstone = state.tombstones.get(id)
      assert(tombstone === undefined || tombstone.status === status, `T3: t-${id} changed its end`)
    }
  }

  private checkEnd({ task, placement, end }: Extract<SchedulerEvent, { type: 'attempt-ended' }>): void {
    assert(this.live.delete(placement.token), `token ${placement.token} of t-${task.id} ended twice`)
    if (end === 'superseded') assert(this.succeeded.has(task.id), `t-${task.id} was superseded by nothing`)
    if (end !== 'succeeded') return
    assert(!this.succeeded.has(task.id), `two attempts of t-${task.id} took effect`)
    this.succeeded.add(task.id)
  }

  /** State knows every live attempt, and what outlives its task was told to stop. */
  private checkLive(state: SchedulerState): void {
    const held = attemptsOf(state)
    assert(held.length === this.live.size, `${held.length} attempts in state, ${this.live.size} by events`)
    for (const { id, placement } of held) {
      assert(this.live.get(placement.token) === id, `token ${placement.token} of t-${id} is live`)
      if (state.tasks.has(id)) continue
      assert(this.ended.get(id) === 'succeeded', `t-${id} left an attempt behind without a success`)
      assert(this.told.has(placement.token), `token ${placement.token} outlives t-${id} untold`)
      assert(placement.stopReason !== undefined, `token ${placement.token} outlives t-${id} unmarked`)
    }
  }

  private checkTasks(state: SchedulerState): void {
    for (const task of state.tasks.values()) {
      const { spec, placement, copy, status } = task
      const name = `t-${task.id} (${status})`
      const holds = status === 'placed' || status === 'running' || status === 'stopping'
      assert(holds === (placement !== undefined), `${name}: a placement goes with its status`)
      assert((status === 'ready') === state.ready.has(task.id), `${name}: the ready index`)
      const attempts = [placement, copy].filter((attempt) => attempt !== undefined)
      const isStopping = holds && attempts.every(({ stopReason }) => stopReason !== undefined)
      assert((status === 'stopping') === isStopping, `${name}: its stop reason`)
      if (copy !== undefined) {
        assert(placement !== undefined && placement.node !== copy.node, `${name}: a copy runs elsewhere`)
        assert(copy.isCopy && spec.idempotent, `${name}: only what is idempotent is copied`)
        assert(spec.delivery === 'at-least-once', `${name}: at most once, and copied`)
      }
      assert(task.copies <= task.uncounted, `${name}: copies go uncounted`)
      const counted = task.attempts - task.uncounted
      assert(counted <= spec.retry.maxAttempts, `T6 ${name}: ${counted} attempts count`)
      assert(spec.delivery === 'at-least-once' || counted <= 1, `${name}: at most once`)
      if (status === 'pending') continue
      for (const need of spec.needs) {
        const record = state.tombstones.get(need.id)
        assert(record?.status === 'succeeded', `T5 ${name}: t-${need.id} has not succeeded`)
      }
    }
    assert(state.ready.size <= state.tasks.size, 'the ready index holds live tasks only')
  }
}

function checkNodes(state: SchedulerState): void {
  const held = new Map<number, number>()
  const tokens = new Set<number>()
  const attempts = attemptsOf(state)
  for (const { id, placement, lastToken } of attempts) {
    held.set(placement.node, (held.get(placement.node) ?? 0) + 1)
    assert(!tokens.has(placement.token), `T2: token ${placement.token} is held twice`)
    tokens.add(placement.token)
    const node = state.nodes.get(placement.node)
    assert(node?.placements.has(id) === true, `t-${id} is on its node's list`)
    assert(placement.token <= lastToken, `T2: t-${id} runs under a token of its own`)
  }
  for (const node of state.nodes.values()) {
    assert(node.placements.size === (held.get(node.id) ?? 0), `node ${node.id} holds what tasks say`)
    const used: Record<string, number> = {}
    let last = 0
    for (const id of node.placements) {
      const attempt = attempts.find((other) => other.id === id && other.placement.node === node.id)
      const token = attempt?.placement.token ?? 0
      assert(token > last, `placements of node ${node.id} stand by rising token`)
      last = token
      for (const [name, amount] of Object.entries(attempt?.resources ?? {})) {
        used[name] = (used[name] ?? 0) + amount
      }
    }
    for (const name of new Set([...Object.keys(used), ...Object.keys(node.used)])) {
      assert((used[name] ?? 0) === (node.used[name] ?? 0), `node ${node.id}: sum of ${name}`)
    }
  }
}

interface HeldAttempt {
  readonly id: TaskId
  readonly placement: Placement
  readonly lastToken: number
  readonly resources: Resources
}

function attemptsOf(state: SchedulerState): HeldAttempt[] {
  const attempts: HeldAttempt[] = []
  for (const { id, placement, copy, lastToken, spec } of [
    ...state.tasks.values(),
    ...state.lingering.values()
  ]) {
    for (const held of [placement, copy]) {
      if (held !== undefined) attempts.push({ id, placement: held, lastToken, resources: spec.resources })
    }
  }
  return attempts
}

function checkPins(state: SchedulerState): void {
  const pins = new Map<number, number>()
  const pin = (id: number): void => {
    pins.set(id, (pins.get(id) ?? 0) + 1)
  }
  for (const task of state.tasks.values()) for (const need of task.spec.needs) pin(need.id)
  for (const kept of state.keys.values()) {
    for (let offset = 0; offset < kept.count; offset++) pin(kept.firstId + offset)
  }
  for (const record of [...state.tasks.values(), ...state.tombstones.values()]) {
    assert(record.pins === (pins.get(record.id) ?? 0), `t-${record.id}: got ${record.pins} pins`)
    pins.delete(record.id)
  }
  assert(pins.size === 0, 'what is pinned has a record')
}

function assert(condition: boolean, message: string): void {
  if (!condition) throw new Error(`invariant broken: ${message}`)
}
