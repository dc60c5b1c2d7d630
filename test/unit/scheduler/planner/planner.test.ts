import { expect, test } from 'vitest'
import { incarnation, nodeId, peerId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import type { Planner } from '../../../../scheduler/planner/planner.ts'
import { createPlanner } from '../../../../scheduler/planner/planner.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { Machine, failure, offer, report, spec, types } from '../../../helpers/scheduler.ts'
import { placed, propose, settle, submitOf } from './turns.ts'

function plannerOf(machine: Machine, name = 'fifo'): Planner {
  return createPlanner({
    state: machine.state,
    policy: policyFactory(name)(createRng(1)),
    excluded: () => false
  })
}

test('a task is placed in the entry that submits it', () => {
  const machine = new Machine().withNodes(1)
  const planner = plannerOf(machine)
  const turn = propose(planner, machine, [submitOf(machine, 1)])
  expect(placed(turn.entry)).toEqual([[1, 1]])
  expect(types(settle(planner, machine, turn))).toContain('task-placed')
})

test('a slot that a completion in flight frees is used in the same entry', () => {
  const machine = new Machine().withNodes(1, { slots: 1 })
  const planner = plannerOf(machine)
  settle(planner, machine, propose(planner, machine, [submitOf(machine, 1, [spec(), spec()])]))
  const done: Command = { type: 'complete', report: report(1, 1), retryDelayMs: durationMs(0) }
  const turn = propose(planner, machine, [done])
  expect(placed(turn.entry)).toEqual([[2, 1]])
  // The same report again frees nothing more.
  expect(placed(propose(planner, machine, [done, submitOf(machine, 3)]).entry)).toEqual([])
})

test('slots are spent over several entries in flight, and none is planned twice', () => {
  const machine = new Machine().withNodes(2, { slots: 2 })
  const planner = plannerOf(machine)
  const turns = [1, 2, 3, 4, 5, 6].map((id) => propose(planner, machine, [submitOf(machine, id)]))
  expect(turns.flatMap((turn) => placed(turn.entry)).length).toBe(4)
  for (const turn of turns) {
    expect(types(settle(planner, machine, turn))).not.toContain('placement-refused')
  }
  expect(machine.state.ready.size).toBe(2)
})

test.each([false, true])(
  'a placement that apply refuses is offered again (task in state before: %s)',
  (before) => {
    const machine = new Machine().withNodes(2, { slots: 1 })
    if (before) machine.submit([spec()])
    const planner = plannerOf(machine)
    const turn = propose(planner, machine, before ? [] : [submitOf(machine, 1)])
    const [[, onto] = [0, 0]] = placed(turn.entry)
    planner.observe(machine.endIncarnation(onto, 1))
    expect(types(settle(planner, machine, turn))).toContain('placement-refused')
    expect(placed(propose(planner, machine, []).entry)).toEqual([[1, 3 - onto]])
  }
)

test('a batch that was lost leaves no trace', () => {
  const machine = new Machine().withNodes(1, { slots: 1 })
  const planner = plannerOf(machine)
  const lost = propose(planner, machine, [submitOf(machine, 1)])
  planner.settle(lost.batch, [])
  expect([...planner.view.ready()]).toEqual([])
  expect(placed(propose(planner, machine, [submitOf(machine, 1)]).entry)).toEqual([[1, 1]])
})

test('tasks with a delay, an open need or a used key are not planned before apply has spoken', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()], { key: 'k' })
  machine.place(1, 1)
  const planner = plannerOf(machine)
  const keyed = {
    ...submitOf(machine, 5),
    idempotency: { key: 'k', fingerprint: 'f', ttlMs: durationMs(1) }
  } as Command
  const waiting = [
    spec({ notBefore: timestampMs(machine.now + 10) }),
    spec({ needs: [{ id: taskId(1), as: 'a' }] })
  ]
  expect(placed(propose(planner, machine, [submitOf(machine, 2, waiting), keyed]).entry)).toEqual([])
})

test('excluded, leaving and closed nodes get nothing, and what they offer again is used', () => {
  const machine = new Machine().withNodes(3)
  const excluded = new Set([nodeId(1)])
  const policy = policyFactory('fifo')(createRng(1))
  const planner = createPlanner({ state: machine.state, policy, excluded: (node) => excluded.has(node.id) })
  planner.observe(machine.apply({ type: 'leave', node: nodeId(2) }))
  planner.observe(machine.endIncarnation(3, 1))
  const turn = propose(planner, machine, [submitOf(machine, 1)])
  expect(placed(turn.entry)).toEqual([])
  settle(planner, machine, turn)
  excluded.clear()
  expect(placed(propose(planner, machine, []).entry)).toEqual([[1, 1]])
})

test('a choice that does not hold is a fault and ends the round', () => {
  const machine = new Machine().withNodes(1)
  const policy: Policy = {
    name: 'wrong',
    reset: () => undefined,
    onReady: () => undefined,
    onGone: () => undefined,
    next: () => ({ taskId: taskId(99), node: nodeId(1) })
  }
  const planner = createPlanner({ state: machine.state, policy, excluded: () => false })
  expect(planner.plan(timestampMs(machine.now), 10)).toEqual([])
  expect(planner.faults).toBe(1)
})

test('priority goes first under least-loaded, arrival under fifo', () => {
  for (const [name, expected] of [
    ['least-loaded', [2, 1, 3]],
    ['priority', [2, 1, 3]],
    ['fifo', [1, 2, 3]]
  ] as const) {
    const machine = new Machine().withNodes(1)
    machine.submit([spec(), spec({ priority: 5 }), spec()])
    const turn = propose(plannerOf(machine, name), machine, [])
    expect(placed(turn.entry).map(([id]) => id)).toEqual(expected)
  }
})

test('least-loaded fills nodes in proportion to their slots', () => {
  const machine = new Machine().withNodes(2, { slots: 3 })
  machine.announce(2, 1, { slots: 6 })
  machine.submit(Array.from({ length: 6 }, () => spec()))
  const turn = propose(plannerOf(machine, 'least-loaded'), machine, [])
  const on = (node: number): number => placed(turn.entry).filter(([, onto]) => onto === node).length
  expect([on(1), on(2)]).toEqual([2, 4])
})

test('a retry avoids the node that failed it while there is another, and takes it when there is none', () => {
  for (const name of ['fifo', 'priority', 'least-loaded']) {
    const machine = new Machine().withNodes(2)
    machine.submit([spec({ retry: { ...spec().retry, maxAttempts: 9 } })])
    machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: failure })
    const planner = plannerOf(machine, name)
    const turn = propose(planner, machine, [])
    expect(placed(turn.entry)).toEqual([[1, 2]])
    settle(planner, machine, turn)
    planner.observe(machine.endIncarnation(2, 1))
    planner.observe(machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: failure }))
    expect(placed(propose(planner, machine, []).entry)).toEqual([[1, 1]])
  }
})

test('a class that nothing can take does not hold up others, and is taken when a node for it comes', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec({ executor: 'gpu' }), spec()])
  const planner = plannerOf(machine)
  expect(placed(propose(planner, machine, []).entry)).toEqual([[2, 1]])
  planner.observe(machine.announce(1, 2, { executors: ['gpu'] }))
  expect(placed(propose(planner, machine, []).entry)).toEqual([[1, 1]])
})

test('a class that found no room is looked at again when a slot becomes free', () => {
  const machine = new Machine().withNodes(1, { slots: 1 })
  machine.apply({ type: 'register-node', peerId: peerId('p2'), addresses: [], zone: '' })
  machine.announce(2, 1, { slots: 1, executors: ['gpu'] })
  machine.submit([spec({ executor: 'gpu' }), spec({ executor: 'gpu' })])
  const planner = plannerOf(machine)
  const first = propose(planner, machine, [])
  expect(placed(first.entry)).toEqual([[1, 2]])
  settle(planner, machine, first)
  const done: Command = { type: 'complete', report: report(1, 1), retryDelayMs: durationMs(0) }
  expect(placed(propose(planner, machine, [done]).entry)).toEqual([[2, 2]])
})

test('whatever is planned without interference is accepted, over random turns', () => {
  for (let seed = 0; seed < 25; seed++) {
    const rng = createRng(seed)
    const machine = new Machine().withNodes(3, { slots: 3, resources: { cpu: 2_000 } })
    const planner = plannerOf(machine, ['fifo', 'priority', 'least-loaded'][seed % 3] ?? 'fifo')
    const inFlight: { batch: number; entry: Command[] }[] = []
    const reported = new Set<number>()
    let next = 1
    let accepted = 0
    for (let turn = 0; turn < 120; turn++) {
      const commands: Command[] = []
      const tasks = Array.from({ length: rng.nextInt(4) }, () =>
        spec({
          priority: rng.nextInt(3),
          resources: rng.nextInt(2) === 0 ? { cpu: rng.nextInt(1_200) } : {},
          executor: rng.nextInt(9) === 0 ? 'gpu' : 'js'
        })
      )
      if (tasks.length > 0) commands.push(submitOf(machine, next, tasks))
      next += tasks.length
      for (const task of machine.state.tasks.values()) {
        const token = task.placement?.token
        if (token === undefined || reported.has(token) || rng.nextInt(3) > 0) continue
        reported.add(token)
        const outcome = rng.nextInt(4) === 0 ? 'failed' : 'succeeded'
        const error = outcome === 'failed' ? failure : undefined
        commands.push({
          type: 'complete',
          report: report(task.id, token, { outcome, error }),
          retryDelayMs: durationMs(0)
        })
      }
      inFlight.push(propose(planner, machine, commands))
      while (inFlight.length > rng.nextInt(4)) {
        const oldest = inFlight.shift()
        if (oldest === undefined) break
        const events = settle(planner, machine, oldest)
        expect(types(events)).not.toContain('placement-refused')
        accepted += events.filter((event) => event.type === 'task-placed').length
      }
    }
    for (const turn of inFlight) settle(planner, machine, turn)
    expect(planner.faults).toBe(0)
    expect(accepted).toBeGreaterThan(50)
    // With nothing in flight the view is the state.
    expect([...planner.view.ready()].map((task) => task.id)).toEqual(
      [...machine.state.ready].sort((a, b) => a - b)
    )
    for (const node of planner.view.nodes()) {
      const held = machine.state.nodes.get(node.id)
      expect(node.freeSlots).toBe(3 - (held?.placements.size ?? 0))
      expect(node.free('cpu')).toBe(2_000 - (held?.used['cpu'] ?? 0))
    }
    expect([...planner.view.running()].length).toBe(
      [...machine.state.tasks.values()].filter((task) => task.placement !== undefined).length
    )
  }
})

test('a new reign begins from state alone', () => {
  const machine = new Machine().withNodes(1, { slots: 1 })
  machine.submit([spec(), spec()])
  const planner = plannerOf(machine)
  propose(planner, machine, [])
  planner.reset(timestampMs(machine.now))
  expect(placed(propose(planner, machine, []).entry)).toEqual([[1, 1]])
})

test('an announcement that takes slots away is seen at once', () => {
  const machine = new Machine().withNodes(1, { slots: 3 })
  machine.submit([spec(), spec()])
  const planner = plannerOf(machine)
  planner.observe(
    machine.apply({
      type: 'announce',
      node: nodeId(1),
      incarnation: incarnation(1),
      offer: offer({ slots: 1 }),
      outbox: [],
      retryDelayMs: durationMs(0)
    })
  )
  expect(placed(propose(planner, machine, []).entry)).toEqual([[1, 1]])
})
