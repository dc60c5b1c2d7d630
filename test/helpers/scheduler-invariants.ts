/**
 * An independent check of the task machine's invariants (T2, T3, T5, T6 and the bookkeeping below them), by plain scans
 * over the whole state. Shares no code with `apply`.
 */
import type { TaskId } from '../../base/ids.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { SchedulerState } from '../../scheduler/state.ts'

/** Checks that hold over a history need memory: one checker per state. */
export class InvariantChecker {
  private lastToken = 0
  private lastTime = 0
  private readonly ended = new Map<TaskId, string>()
  private readonly placements = new Map<TaskId, number>()

  /** Call after each entry. Throws with what is wrong. */
  check(state: SchedulerState, events: readonly SchedulerEvent[]): void {
    this.checkEvents(state, events)
    this.checkTasks(state)
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
      }
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

  private checkTasks(state: SchedulerState): void {
    for (const task of state.tasks.values()) {
      const { spec, placement, status } = task
      const name = `t-${task.id} (${status})`
      const holds = status === 'placed' || status === 'running' || status === 'stopping'
      assert(holds === (placement !== undefined), `${name}: a placement goes with its status`)
      assert((status === 'ready') === state.ready.has(task.id), `${name}: the ready index`)
      assert((status === 'stopping') === (placement?.stopReason !== undefined), `${name}: its stop reason`)
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
  for (const task of state.tasks.values()) {
    const { placement } = task
    if (placement === undefined) continue
    held.set(placement.node, (held.get(placement.node) ?? 0) + 1)
    assert(!tokens.has(placement.token), `T2: token ${placement.token} is held twice`)
    tokens.add(placement.token)
    const node = state.nodes.get(placement.node)
    assert(node?.placements.has(task.id) === true, `t-${task.id} is on its node's list`)
    assert(placement.token === task.lastToken, `T2: t-${task.id} runs under its last token`)
  }
  for (const node of state.nodes.values()) {
    assert(node.placements.size === (held.get(node.id) ?? 0), `node ${node.id} holds what tasks say`)
    const used: Record<string, number> = {}
    let last = 0
    for (const id of node.placements) {
      const task = state.tasks.get(id)
      const token = task?.placement?.token ?? 0
      assert(token > last, `placements of node ${node.id} stand by rising token`)
      last = token
      for (const [name, amount] of Object.entries(task?.spec.resources ?? {})) {
        used[name] = (used[name] ?? 0) + amount
      }
    }
    for (const name of new Set([...Object.keys(used), ...Object.keys(node.used)])) {
      assert((used[name] ?? 0) === (node.used[name] ?? 0), `node ${node.id}: sum of ${name}`)
    }
  }
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
