import { expect, test } from 'vitest'
import { nodeId, taskId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import type { Planner } from '../../../../scheduler/planner/planner.ts'
import { createPlanner } from '../../../../scheduler/planner/planner.ts'
import type { Policy } from '../../../../scheduler/policy.ts'
import { eagerCopies } from '../../../../sim/eager-copies.ts'
import { Machine, report, spec, types } from '../../../helpers/scheduler.ts'
import { placed, propose, settle, submitOf } from './turns.ts'

const copied = (entry: readonly Command[]): [number, number, number][] =>
  entry.flatMap((command) =>
    command.type === 'place-copy' ? [[command.taskId, command.node, command.of]] : []
  )

/** Three one-slot nodes of which the first runs an idempotent task. */
function running(tasks = [spec({ idempotent: true })]): { machine: Machine; planner: Planner } {
  const machine = new Machine().withNodes(3, { slots: 1 })
  machine.submit(tasks)
  for (const [index] of tasks.entries()) machine.place(index + 1, index + 1)
  const planner = createPlanner({
    state: machine.state,
    policy: eagerCopies(createRng(1)),
    excluded: () => false
  })
  return { machine, planner }
}

test('a choice that names a running task is a copy, once, though the entry is not applied yet', () => {
  const { machine, planner } = running()
  const turn = propose(planner, machine, [])
  expect(copied(turn.entry)).toEqual([[1, 2, 1]])
  expect(copied(propose(planner, machine, []).entry)).toEqual([])
  settle(planner, machine, turn)
  expect(machine.task(1)?.copy).toMatchObject({ node: 2, token: 2 })
  expect(copied(propose(planner, machine, []).entry)).toEqual([])
  expect(planner.faults).toBe(0)
})

test('what is not idempotent, ends in flight or stops is not shown as worth a copy', () => {
  const plain = running([spec(), spec({ idempotent: true, delivery: 'at-most-once' })])
  expect(copied(propose(plain.planner, plain.machine, []).entry)).toEqual([])
  const ending = running()
  const done: Command = { type: 'complete', report: report(1, 1), retryDelayMs: durationMs(0) }
  expect(copied(propose(ending.planner, ending.machine, [done]).entry)).toEqual([])
  const stopping = running()
  stopping.machine.stop(1, 1, 'timeout')
  expect(copied(propose(stopping.planner, stopping.machine, []).entry)).toEqual([])
})

test('the slot of a loser is taken until its report, and free in the entry that brings it', () => {
  const { machine, planner } = running()
  settle(planner, machine, propose(planner, machine, []))
  machine.submit([spec(), spec(), spec()])
  planner.reset(timestampMs(machine.now))
  const win: Command = { type: 'complete', report: report(1, 1), retryDelayMs: durationMs(0) }
  const won = propose(planner, machine, [win])
  expect(placed(won.entry).map(([, node]) => node)).toEqual([1, 3])
  settle(planner, machine, won)
  expect(placed(propose(planner, machine, []).entry)).toEqual([])
  const late: Command = { type: 'complete', report: report(1, 2), retryDelayMs: durationMs(0) }
  expect(placed(propose(planner, machine, [late]).entry)).toEqual([[4, 2]])
})

test.each([
  ['a copy of a task that has one is overtaken, which is no fault', true, 2, 0],
  ['a copy of a task that is not idempotent is a fault', false, 2, 1],
  ['a copy on the node that runs it is a fault', true, 1, 1]
])('%s', (_what, idempotent, node, faults) => {
  const { machine } = running([spec({ idempotent })])
  if (idempotent && node === 2) machine.copy(1, 3)
  const ignore = (): void => undefined
  const policy: Policy = {
    name: 'stubborn',
    reset: ignore,
    onReady: ignore,
    onGone: () => {
      throw new Error('a copied task was not waiting')
    },
    next: () => ({ taskId: taskId(1), node: nodeId(node) })
  }
  machine.announce(1, 1, { slots: 2 })
  const planner = createPlanner({ state: machine.state, policy, excluded: () => false })
  expect(copied(propose(planner, machine, []).entry)).toEqual([])
  expect(planner.faults).toBe(faults)
})

/** Places each task on the first node, then copies it to the second, once; told when no copy came of it, again. */
function copier(): Policy & { readonly notCopied: number[] } {
  const waiting: number[] = []
  const notCopied: number[] = []
  let toCopy = 0
  return {
    name: 'copier',
    notCopied,
    reset: () => undefined,
    onReady: ({ id }) => waiting.push(id),
    onGone: () => (toCopy = waiting.shift() ?? 0),
    onNotCopied: (id) => notCopied.push(id),
    next: () => {
      const [first] = waiting
      if (first !== undefined) return { taskId: taskId(first), node: nodeId(1) }
      if (toCopy === 0) return undefined
      const choice = { taskId: taskId(toCopy), node: nodeId(2) }
      toCopy = 0
      return choice
    }
  }
}

test('a policy hears that its copy came before the attempt itself was placed', () => {
  const machine = new Machine().withNodes(2, { slots: 1 })
  const policy = copier()
  const planner = createPlanner({ state: machine.state, policy, excluded: () => false })
  const turn = propose(planner, machine, [submitOf(machine, 1, [spec({ idempotent: true })])])
  expect(placed(turn.entry)).toEqual([[1, 1]])
  expect(copied(turn.entry)).toEqual([])
  expect(policy.notCopied).toEqual([1])
  settle(planner, machine, turn)
  expect(policy.notCopied).toEqual([1])
})

test('a policy does not hear of a copy that came too late: another would as well', () => {
  const { machine } = running()
  machine.copy(1, 3)
  const policy = copier()
  const planner = createPlanner({
    state: machine.state,
    policy: { ...policy, ...once(taskId(1), nodeId(2)) },
    excluded: () => false
  })
  expect(copied(propose(planner, machine, []).entry)).toEqual([])
  expect(policy.notCopied).toEqual([])
  expect(planner.faults).toBe(0)
})

test('a policy hears that its copy was refused', () => {
  const machine = new Machine().withNodes(2, { slots: 1 })
  const policy = copier()
  const planner = createPlanner({ state: machine.state, policy, excluded: () => false })
  settle(planner, machine, propose(planner, machine, [submitOf(machine, 1, [spec({ idempotent: true })])]))
  policy.onGone(taskId(1), planner.view)
  policy.onReady({ id: taskId(1) } as never, planner.view)
  policy.onGone(taskId(1), planner.view)
  const before = policy.notCopied.length
  const turn = propose(planner, machine, [])
  expect(copied(turn.entry)).toEqual([[1, 2, 1]])
  // The second node begins anew in between, which the plan cannot know.
  machine.announce(2, 2, { slots: 1 })
  expect(types(settle(planner, machine, turn))).toContain('placement-refused')
  expect(policy.notCopied.slice(before)).toEqual([1])
})

/** Chooses this once, and then nothing. */
function once(id = taskId(1), node = nodeId(1)): Pick<Policy, 'next'> {
  let isDone = false
  return {
    next: () => {
      if (isDone) return undefined
      isDone = true
      return { taskId: id, node }
    }
  }
}

test('a policy hears of no copy when a placement was refused', () => {
  const machine = new Machine().withNodes(1, { slots: 1 })
  const policy = { ...copier(), onGone: (): void => undefined }
  machine.submit([spec()])
  const planner = createPlanner({
    state: machine.state,
    policy: { ...policy, ...once() },
    excluded: () => false
  })
  const turn = propose(planner, machine, [])
  expect(placed(turn.entry)).toEqual([[1, 1]])
  machine.announce(1, 2, { slots: 1 })
  expect(types(settle(planner, machine, turn))).toContain('placement-refused')
  expect(policy.notCopied).toEqual([])
})
