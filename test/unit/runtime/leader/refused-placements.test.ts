/** Placements that `apply` refuses: nothing that waits may be forgotten over them, whatever the policy. */
import { expect, test } from 'vitest'
import { taskId, type TaskId } from '../../../../base/ids.ts'
import { createRng, type Rng } from '../../../../base/prng.ts'
import { durationMs, monotonicMs, timestampMs } from '../../../../base/units.ts'
import { OFFERED_POLICIES } from '../../../../node/optimizer/policies.ts'
import { runningMean } from '../../../../optimizer/policies/predictors.ts'
import { GuardedPolicy, type PolicyFailure } from '../../../../runtime/leader/guarded-policy.ts'
import { RecentTimes } from '../../../../runtime/recent-times.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'
import { createPlanner, type Planner } from '../../../../scheduler/planner/planner.ts'
import { policyFactory } from '../../../../scheduler/policies/index.ts'
import type { TaskSpec } from '../../../../scheduler/types.ts'
import { Machine, needs, report, spec } from '../../../helpers/scheduler.ts'

const NAMES = OFFERED_POLICIES.map(({ name }) => name)

interface Turn {
  readonly batch: number
  readonly entry: readonly Command[]
}

/** A leader that plans by a guarded policy. */
class Scene {
  readonly machine: Machine
  readonly planner: Planner
  readonly failures: PolicyFailure[] = []
  refused = 0
  nextId = 1

  constructor(name: string, machine: Machine) {
    this.machine = machine
    const offered = OFFERED_POLICIES.find((policy) => policy.name === name)!
    const policy = new GuardedPolicy({
      policy: offered.factory(runningMean(), true)(createRng(1)),
      standIn: () => policyFactory('fifo')(createRng(1)),
      clock: { monotonicNow: () => monotonicMs(0), wallNow: () => timestampMs(machine.now) },
      times: new RecentTimes(),
      onFailure: (failure) => this.failures.push(failure)
    })
    this.planner = createPlanner({ state: machine.state, policy, excluded: () => false })
  }

  submit(tasks: readonly TaskSpec[]): Command {
    const firstId = taskId(this.nextId)
    this.nextId += tasks.length
    return { type: 'submit', origin: this.machine.nextOrigin(), firstId, tasks }
  }

  /** Tasks that are in the state before anything is planned for them: only then policies know that others depend on them. */
  submitted(tasks: readonly TaskSpec[]): void {
    this.planner.observe(this.machine.apply(this.submit(tasks)))
  }

  propose(commands: readonly Command[]): Turn {
    this.planner.project(commands)
    const placements = this.planner.plan(timestampMs(this.machine.now), 1000)
    return { batch: this.planner.seal(), entry: [...commands, ...placements] }
  }

  settle({ batch, entry }: Turn): void {
    const events = this.machine.apply(...entry)
    this.refused += events.filter(({ type }) => type === 'placement-refused').length
    this.planner.settle(batch, events)
  }

  /** Turns 2.6 s apart, in each of which whatever runs succeeds, until nothing is left or `count` turns. */
  finish(count: number): void {
    const { machine, planner } = this
    for (let turn = 0; turn < count && machine.state.tasks.size > 0; turn++) {
      machine.now += 2600
      this.settle(this.propose(completions(machine, () => true)))
      planner.wakeAt()
    }
  }
}

/** Reports of some of the attempts that run. */
function completions(machine: Machine, isOver: () => boolean): Command[] {
  const commands: Command[] = []
  for (const { id, placement } of machine.state.tasks.values()) {
    if (placement === undefined || !isOver()) continue
    commands.push({
      type: 'complete',
      report: report(id, placement.token),
      retryDelayMs: durationMs(0)
    })
  }
  return commands
}

const cancel = (machine: Machine, id: TaskId): SchedulerEvent[] =>
  machine.apply({ type: 'cancel', origin: machine.nextOrigin(), taskId: id })

const chain = (first: number): TaskSpec[] => [
  spec({ name: `head ${first}` }),
  spec({ name: `tail ${first}`, needs: needs(first) })
]

test.each(NAMES)('a task whose placement was refused runs in its turn (%s)', (name) => {
  const machine = new Machine().withNodes(2, { slots: 1 })
  const scene = new Scene(name, machine)
  scene.submitted(chain(1))
  const turn = scene.propose([])
  const onto = turn.entry.flatMap((command) => (command.type === 'place' ? [command.node] : []))
  expect(onto.length).toBe(1)
  scene.planner.observe(machine.endIncarnation(onto[0]!, 1))
  scene.settle(turn)
  expect(scene.refused).toBe(1)
  scene.submitted(chain(3))
  scene.finish(20)
  expect(scene.failures).toEqual([])
  expect(machine.state.tasks.size).toBe(0)
})

/** Tasks of two shapes, of which only one has room; and two that a third needs, which make one group hold all of its share. */
const ALONE = [spec(), spec({ resources: { cpu: 1 } })]
const GROUPED = [spec(), spec(), spec({ needs: needs(1, 2) })]

test.each(NAMES)('a slot that was refused to a cancelled task is used by another (%s)', (name) => {
  for (const tasks of [ALONE, GROUPED]) {
    const machine = new Machine().withNodes(1, { slots: 1 })
    machine.submit(tasks)
    const scene = new Scene(name, machine)
    const turn = scene.propose([])
    const placed = turn.entry.flatMap((command) => (command.type === 'place' ? [command.taskId] : []))
    expect(placed.length).toBe(1)
    scene.planner.observe(cancel(machine, placed[0]!))
    scene.settle(turn)
    expect(scene.refused).toBe(1)
    expect(scene.propose([]).entry.length).toBe(1)
  }
})

/** Up to three tasks: alone, or in a chain. */
function draft(rng: Rng, first: number): TaskSpec[] {
  const isChain = rng.nextInt(2) === 0
  return Array.from({ length: 1 + rng.nextInt(3) }, (_, index) =>
    spec({
      name: `n${rng.nextInt(3)}`,
      tenant: `t${rng.nextInt(3)}`,
      priority: rng.nextInt(2),
      idempotent: rng.nextInt(2) === 0,
      resources: rng.nextInt(2) === 0 ? {} : { cpu: 100 * (1 + rng.nextInt(8)) },
      needs: isChain && index > 0 ? needs(first + index - 1) : []
    })
  )
}

/** What keeps placements in flight from being applied: nodes that end, come back or shrink, and tasks that are cancelled. */
function interfere(scene: Scene, rng: Rng): void {
  const { machine, planner } = scene
  for (const { id, incarnation, open } of [...machine.state.nodes.values()]) {
    const offered = { slots: 1 + rng.nextInt(2), resources: { cpu: 1000 } }
    if (!open) planner.observe(machine.announce(id, incarnation + 1, offered))
    else if (rng.nextInt(7) === 0) planner.observe(machine.endIncarnation(id, incarnation))
    else if (rng.nextInt(7) === 0) planner.observe(machine.announce(id, incarnation, offered))
  }
  const { ready } = machine.state
  for (const id of [...ready]) if (rng.nextInt(10) === 0) planner.observe(cancel(machine, id))
}

test.each(NAMES)('whatever is refused, all that waits runs in the end (%s)', (name) => {
  let refused = 0
  for (let seed = 0; seed < 60; seed++) {
    const rng = createRng(seed)
    const machine = new Machine().withNodes(2, { slots: 1, resources: { cpu: 1000 } })
    const scene = new Scene(name, machine)
    const inFlight: Turn[] = []
    for (let turn = 0; turn < 60; turn++) {
      machine.now += rng.nextInt(1000)
      const commands = inFlight.length > 0 ? [] : completions(machine, () => rng.nextInt(3) === 0)
      const tasks = draft(rng, scene.nextId)
      if (inFlight.length === 0 && rng.nextInt(2) === 0) scene.submitted(tasks)
      else if (rng.nextInt(2) === 0) commands.push(scene.submit(tasks))
      inFlight.push(scene.propose(commands))
      interfere(scene, rng)
      while (inFlight.length > rng.nextInt(2)) scene.settle(inFlight.shift()!)
    }
    inFlight.forEach((turn) => {
      scene.settle(turn)
    })
    for (const { id, incarnation } of [...machine.state.nodes.values()])
      scene.planner.observe(machine.announce(id, incarnation + 1, { slots: 1, resources: { cpu: 1000 } }))
    scene.finish(300)
    expect(scene.failures, `seed ${seed}`).toEqual([])
    expect(machine.state.tasks.size, `seed ${seed}`).toBe(0)
    refused += scene.refused
  }
  expect(refused).toBeGreaterThan(40)
})
