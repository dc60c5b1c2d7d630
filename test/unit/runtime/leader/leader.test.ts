import { expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../../base/ids.ts'
import { LIMITS } from '../../../../base/limits.ts'
import { createRng } from '../../../../base/prng.ts'
import type { StepResult } from '../../../../consensus/index.ts'
import { NO_BYTES } from '../../../../scheduler/bytes.ts'
import { decodeBatch } from '../../../../scheduler/codec.ts'
import type { SetSettingsCommand } from '../../../../scheduler/commands.ts'
import type { ClusterView, PlacementChoice, Policy } from '../../../../scheduler/policy.ts'
import type { Proposal } from '../../../../scheduler/proposals.ts'
import { Leader } from '../../../../runtime/leader/leader.ts'
import { StampClock } from '../../../../runtime/leader/stamp-clock.ts'
import { Machine, origin, spec } from '../../../helpers/scheduler.ts'
import { HandClock, SILENT } from '../stub-ports.ts'

const TERM = 3

/** A leader over a log that applies entries when told. */
class World {
  readonly machine = new Machine().withNodes(2)
  readonly refusals: string[] = []
  readonly failures: string[] = []
  readonly messages: string[] = []
  /** What the policy `odd` does when asked for a choice. */
  oddly: Policy['next'] = () => undefined
  oddPolicy: Policy = odd(this)
  readonly clock = new HandClock()
  result: StepResult = 'ok'
  storageFull = false
  storeFull = false
  excluded = 0
  readonly #entries: Uint8Array[] = []
  #applied = 0

  readonly leader: Leader

  constructor() {
    this.clock.wall = this.machine.now
    const stamps = new StampClock(this.clock)
    this.leader = new Leader({
      nodeId: nodeId(1),
      clock: this.clock,
      logger: SILENT,
      rng: createRng(1),
      stamps,
      policies: new Map([['odd', () => this.oddPolicy]]),
      onPolicyFailure: ({ policy, fault, message }) => {
        this.failures.push(`${policy} ${fault}`)
        this.messages.push(message)
      },
      propose: (data) => {
        if (this.result === 'ok') this.#entries.push(data)
        return this.result
      },
      lastIndex: () => this.#entries.length,
      refuse: (to, { sequence, code }) => this.refusals.push(`n${to} #${sequence} ${code}`),
      excluded: (node) => node.id === this.excluded,
      storeFull: () => this.storeFull,
      storageFull: () => this.storageFull
    })
  }

  begin(): this {
    this.leader.begin(this.machine.state, TERM)
    this.leader.collect()
    return this
  }

  submit(sequence: number, count = 1, node = 1): void {
    const tasks = Array.from({ length: count }, () => ({ ...spec(), needs: [] }))
    const proposal: Proposal = {
      type: 'submit',
      origin: origin(sequence, { node: nodeId(node) }),
      submission: { tasks }
    }
    this.leader.take(nodeId(node), [proposal])
  }

  /** The commands of entries that were proposed and not applied yet, an array per entry. */
  proposed(): string[][] {
    return this.#entries
      .slice(this.#applied)
      .map((data) => decodeBatch(data).commands.map(({ type }) => type))
  }

  apply(): void {
    for (const data of this.#entries.slice(this.#applied)) {
      this.#applied += 1
      const { commands } = decodeBatch(data)
      this.leader.applied(this.#applied, TERM, this.machine.apply(...commands))
    }
  }
}

/** A policy that is wrong in the way that the test says, and waits for nothing. */
function odd(world: World): Policy {
  const ignore = (): void => undefined
  return { name: 'odd', reset: ignore, onReady: ignore, onGone: ignore, next: (view) => world.oddly(view) }
}

test('all that arrives in a turn shares one entry, and is placed in it', () => {
  const world = new World().begin()
  world.submit(1)
  world.submit(2, 2)
  world.leader.collect()
  expect(world.proposed()).toEqual([['submit', 'submit', 'place', 'place', 'place']])
})

test('before its reign and after it a leader refuses', () => {
  const world = new World()
  world.submit(1)
  world.begin()
  world.submit(2)
  world.leader.end()
  expect(world.refusals).toEqual(['n1 #1 NOT_LEADER', 'n1 #2 NOT_LEADER'])
  expect(world.proposed()).toEqual([])
})

test('a proposal that names another origin than its sender is refused', () => {
  const world = new World().begin()
  const proposal: Proposal = { type: 'cancel', origin: origin(5, { node: nodeId(2) }), taskId: taskId(1) }
  world.leader.take(nodeId(1), [proposal])
  world.leader.collect()
  expect(world.refusals).toEqual(['n1 #5 INVALID_REQUEST'])
  expect(world.proposed()).toEqual([])
})

test('a node without a lease gets no placement', () => {
  const world = new World()
  world.excluded = 1
  world.begin()
  world.submit(1, 3)
  world.leader.collect()
  world.apply()
  expect([world.machine.heldBy(1), world.machine.heldBy(2)]).toEqual([0, 3])
})

test('what Raft does not take is refused to its origin, and asked again only after a tick', () => {
  const world = new World().begin()
  world.result = 'transferring'
  world.submit(1)
  world.leader.collect()
  expect(world.refusals).toEqual(['n1 #1 NOT_LEADER'])
  world.result = 'ok'
  world.submit(2)
  world.leader.collect()
  expect(world.proposed()).toEqual([])
  world.leader.tick()
  world.leader.collect()
  expect(world.proposed()).toEqual([['submit', 'place']])
})

test('of several entries of a turn that Raft does not take, each command is refused', () => {
  const world = new World().begin()
  world.result = 'overloaded'
  const big = { ...spec({ input: new Uint8Array(60_000) }), needs: [] }
  for (let sequence = 1; sequence <= 3; sequence++) {
    const tasks = Array.from({ length: 10 }, () => big)
    world.leader.take(nodeId(1), [{ type: 'submit', origin: origin(sequence), submission: { tasks } }])
  }
  world.leader.collect()
  expect(world.refusals).toEqual(['n1 #1 OVERLOADED', 'n1 #2 OVERLOADED', 'n1 #3 OVERLOADED'])
})

test('a lost node whose end Raft did not take is declared lost with the next tick', () => {
  const world = new World().begin()
  world.result = 'transferring'
  world.leader.declareLost([{ node: nodeId(2), incarnation: incarnation(1) }])
  world.leader.collect()
  world.result = 'ok'
  world.leader.tick()
  world.leader.collect()
  expect(world.proposed()).toEqual([['end-incarnation']])
  world.apply()
  expect(world.machine.state.nodes.get(nodeId(2))?.open).toBe(false)
})

test('a full disk or write-behind refuses submissions and takes the rest', () => {
  const world = new World().begin()
  world.storageFull = true
  world.submit(1)
  world.leader.take(nodeId(1), [{ type: 'cancel', origin: origin(2), taskId: taskId(1) }])
  world.leader.collect()
  world.storageFull = false
  world.storeFull = true
  world.submit(3)
  world.leader.collect()
  expect(world.refusals).toEqual(['n1 #1 STORAGE_FULL', 'n1 #3 OVERLOADED'])
  expect(world.proposed()).toEqual([['cancel']])
})

test('of several models in one turn one enters the log, and the rest may come again', () => {
  const world = new World().begin()
  const proposals = [1, 2, 3].map((sequence): Proposal => {
    const weights = new Uint8Array(LIMITS.modelBytes)
    return { type: 'publish-model', origin: origin(sequence), weights, trainedOn: 1, evaluation: NO_BYTES }
  })
  world.leader.take(nodeId(1), proposals)
  world.submit(4)
  world.leader.collect()
  expect(world.proposed()).toEqual([['publish-model', 'submit', 'place']])
  expect(world.refusals).toEqual(['n1 #2 OVERLOADED', 'n1 #3 OVERLOADED'])
})

test('a full disk takes no models', () => {
  const world = new World().begin()
  world.storageFull = true
  const weights = new Uint8Array(1)
  world.leader.take(nodeId(1), [
    { type: 'publish-model', origin: origin(1), weights, trainedOn: 1, evaluation: NO_BYTES }
  ])
  world.leader.collect()
  expect(world.refusals).toEqual(['n1 #1 STORAGE_FULL'])
})

/** A leader that begins with the policy `odd`. */
function usingOdd(
  next: (view: ClusterView, world: World) => PlacementChoice | undefined,
  broken = {}
): World {
  const world = new World()
  world.oddly = (view) => next(view, world)
  Object.assign(world.oddPolicy, broken)
  world.machine.apply({ type: 'set-settings', settings: { policy: 'odd' } })
  return world.begin()
}

test('a policy that throws is replaced in the same turn, and everything is placed', () => {
  const world = usingOdd(() => {
    throw new Error('weights are NaN')
  })
  world.submit(1, 3)
  world.leader.collect()
  expect(world.proposed()).toEqual([['submit', 'place', 'place', 'place']])
  expect(world.failures).toEqual(['odd threw'])
  expect(world.leader.policyStatus).toMatchObject({ wanted: 'odd', running: 'least-loaded', failures: 1 })
})

test('a policy that failed is tried again when an operator chooses it again, and not before', () => {
  let isBroken = true
  const world = usingOdd((view) => {
    if (isBroken) throw new Error('weights are NaN')
    return [...view.ready()].map(({ id }) => ({ taskId: id, node: nodeId(1) }))[0]
  })
  const set = (settings: SetSettingsCommand['settings']): string | undefined => {
    world.leader.take(nodeId(1), [{ type: 'set-settings', settings }])
    world.leader.collect()
    world.apply()
    return world.leader.policyStatus.running
  }
  world.submit(1)
  world.leader.collect()
  world.apply()
  expect(world.leader.policyStatus.running).toBe('least-loaded')
  isBroken = false
  expect(set({ modelMode: 'frozen' })).toBe('least-loaded')
  expect(set({ policy: 'odd' })).toBe('odd')
  world.submit(2)
  world.leader.collect()
  expect(world.leader.policyStatus).toMatchObject({ running: 'odd', failures: 1 })
})

test('a policy whose choices never hold is replaced after a few rounds', () => {
  const world = usingOdd(() => ({ taskId: taskId(1), node: NaN as ReturnType<typeof nodeId> }))
  world.submit(1)
  const rounds: string[][] = []
  while (world.failures.length === 0 && rounds.length < 10) {
    world.leader.collect()
    rounds.push(world.proposed().flat())
    world.apply()
  }
  world.leader.collect()
  world.apply()
  expect(rounds.length).toBeGreaterThan(1)
  expect(world.failures).toEqual(['odd nonsense'])
  expect(world.machine.status(1)).toBe('placed')
})

test('a policy that takes too long again and again is replaced, one slow round is forgiven', () => {
  let tookMs = 600
  const world = usingOdd((view, { clock }) => {
    clock.advance(tookMs)
    return [...view.ready()].length === 0 ? undefined : { taskId: taskId(1), node: nodeId(1) }
  })
  for (let round = 0; round < 4; round++) {
    tookMs = round === 1 ? 0 : 600
    world.leader.wake()
    world.leader.collect()
    expect(world.failures).toEqual([])
  }
  world.leader.wake()
  world.leader.collect()
  expect(world.failures).toEqual(['odd slow'])
  expect(world.leader.policyStatus.decisions.p99Us).toBeGreaterThan(500_000)
})

test('what a policy takes to hear of tasks counts like what it takes to choose, and a reign begins with one reset', () => {
  let resets = 0
  const world: World = usingOdd(() => undefined, {
    reset: () => resets++,
    onReady: () => {
      world.clock.advance(600)
    }
  })
  expect(resets).toBe(1)
  for (let round = 1; round <= 3; round++) {
    expect(world.failures).toEqual([])
    world.submit(round)
    world.leader.collect()
    world.apply()
  }
  expect(world.failures).toEqual(['odd slow'])
})

/** A tick each 100 ms of state time, for so long. */
function beat(world: World, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    world.clock.advance(100)
    world.leader.tick()
    world.leader.collect()
    world.apply()
  }
}

test('a policy that lets an idle cluster stand beside ready work is replaced, though nothing else happens', () => {
  const world = usingOdd(() => undefined)
  world.submit(1, 2)
  world.leader.collect()
  world.apply()
  beat(world, 4900)
  expect(world.failures).toEqual([])
  beat(world, 300)
  expect(world.failures).toEqual(['odd stalled'])
  expect(world.messages).toEqual([expect.stringContaining('task t-1 is ready, node 1 has room')])
  expect([world.machine.status(1), world.machine.status(2)]).toEqual(['placed', 'placed'])
})

test('a policy that holds tasks back while something runs stays', () => {
  const world = usingOdd((view) => {
    for (const _ of view.running()) return undefined
    const [task] = view.ready()
    return task === undefined ? undefined : { taskId: task.id, node: nodeId(1) }
  })
  world.submit(1, 2)
  world.leader.collect()
  world.apply()
  beat(world, 60_000)
  expect(world.failures).toEqual([])
  expect([world.machine.status(1), world.machine.status(2)]).toEqual(['placed', 'ready'])
})

test('a policy that nobody knows is reported, and settings that name another end the stand-in', () => {
  const world = new World()
  world.machine.apply({ type: 'set-settings', settings: { policy: 'from-the-future' } })
  world.begin()
  expect(world.failures).toEqual(['from-the-future unknown'])
  world.submit(1)
  world.leader.collect()
  expect(world.proposed()).toEqual([['submit', 'place']])
  world.apply()
  world.leader.take(nodeId(1), [{ type: 'set-settings', settings: { policy: 'odd' } }])
  world.leader.collect()
  world.apply()
  expect(world.leader.policyStatus).toMatchObject({ wanted: 'odd', running: 'odd' })
})

test.each(['reset', 'onReady', 'onGone', 'onEnded', 'onFinished', 'onNodesChanged', 'wakeAt'])(
  'a policy that fails in %s is replaced, and its stand-in knows every ready task',
  (call) => {
    const fails = (): void => {
      throw new Error(call)
    }
    const firstReady = (view: ClusterView): PlacementChoice | undefined => {
      const [task] = view.ready()
      return task === undefined ? undefined : { taskId: task.id, node: nodeId(1) }
    }
    const world = usingOdd(firstReady, { [call]: fails })
    world.submit(1)
    world.leader.collect()
    world.apply()
    world.leader.applied(0, TERM, world.machine.complete(1, world.machine.task(1)?.placement?.token ?? 0))
    world.leader.applied(0, TERM, world.machine.announce(2, 2))
    world.leader.tick()
    world.submit(2)
    world.leader.collect()
    world.apply()
    expect(world.failures).toEqual(['odd threw'])
    expect(world.machine.status(2)).toBe('placed')
  }
)
