import { expect, test } from 'vitest'
import { clusterId, incarnation, nodeId, peerId } from '../../../../base/ids.ts'
import { createRng } from '../../../../base/prng.ts'
import { monotonicMs } from '../../../../base/units.ts'
import { confStateOf } from '../../../../consensus/types.ts'
import type { RaftStatus } from '../../../../consensus/index.ts'
import { DEFAULT_RUNTIME, LAN_TIMING } from '../../../../runtime/config.ts'
import { LEASE_CONTEXT, Leadership } from '../../../../runtime/leader/leadership.ts'
import { Machine } from '../../../helpers/scheduler.ts'
import { HandClock, SILENT } from '../stub-ports.ts'

const TERM = 4

/** Node 1 of three voters, each with an open incarnation, in the role that the test gives it. */
class World {
  readonly machine = new Machine().withNodes(3)
  readonly clock = new HandClock()
  readonly rounds: Uint8Array[] = []
  readonly grants: string[] = []
  readonly transfers: number[] = []
  readonly entries: Uint8Array[] = []
  role = 'leader'
  readonly leadership: Leadership

  constructor() {
    this.clock.wall = this.machine.now
    const progress = [1, 2, 3].map((id) => ({
      ...{ id, isLearner: false, recentActive: true, state: 'replicate', match: 10 }
    }))
    const status = { id: 1, confState: confStateOf([1, 2, 3]), progress } as unknown as RaftStatus
    const readRole = (): string => this.role
    const raft = {
      get role() {
        return readRole()
      },
      ...{ term: TERM, committed: 10, lastIndex: 10 },
      status: () => status,
      propose: (data: Uint8Array) => {
        this.entries.push(data)
        return 'ok' as const
      },
      proposeConfChange: () => 'ok' as const,
      readIndex: (context: Uint8Array) => {
        this.rounds.push(context)
        return 'ok' as const
      },
      transferLeader: (to: number) => this.transfers.push(to),
      grantLease: (to: number) => this.grants.push(`n${to}`)
    }
    const identity = { clusterId: clusterId('a'.repeat(32)), nodeId: nodeId(1), peerId: peerId('p1') }
    this.leadership = new Leadership({
      nodeId: nodeId(1),
      config: {
        ...{ ...DEFAULT_RUNTIME, ...identity, timing: LAN_TIMING, bootstrap: false, version: '0' },
        ...{ slots: 1, resources: {}, labels: {}, zone: '' }
      },
      clock: this.clock,
      logger: SILENT,
      rng: createRng(1),
      policies: new Map(),
      raft: () => raft,
      state: () => this.machine.state,
      appliedIndex: () => 10,
      storeFull: () => false,
      refuse: () => undefined,
      onOwnGrant: () => this.grants.push('own')
    })
  }

  reign(): this {
    this.leadership.applied(10, TERM, [])
    return this
  }

  renew(node: number, wallOffsetMs = 0): void {
    this.leadership.renewal(nodeId(node), {
      incarnation: incarnation(1),
      t0: monotonicMs(7),
      wall: (this.clock.wall + wallOffsetMs) as never,
      applied: 10
    })
  }

  tick(afterMs = 30): void {
    this.clock.advance(afterMs)
    this.leadership.tick()
  }

  confirm(): void {
    this.leadership.roundConfirmed(this.rounds.at(-1) ?? new Uint8Array(2))
  }
}

test('the role alone is no reign: an entry of its own term must be applied first', () => {
  const world = new World()
  world.leadership.applied(9, TERM - 1, [])
  expect(world.leadership.reigning).toBe(false)
  world.renew(2)
  world.tick()
  expect(world.rounds).toEqual([])
  world.reign()
  expect(world.leadership.reigning).toBe(true)
})

test('a follower that applies entries does not reign', () => {
  const world = new World()
  world.role = 'follower'
  expect(world.reign().leadership.reigning).toBe(false)
})

test('a renewal is granted when a round that began after it is confirmed, and only then', () => {
  const world = new World().reign()
  world.renew(2)
  world.renew(1)
  world.tick()
  expect([world.rounds.map(([kind]) => kind), world.grants]).toEqual([[LEASE_CONTEXT], []])
  world.renew(3)
  world.confirm()
  expect(world.grants).toEqual(['n2', 'own'])
})

test('a deposed leader grants nothing, though its round is confirmed late', () => {
  const world = new World().reign()
  world.renew(2)
  world.tick()
  world.role = 'follower'
  world.leadership.roleChanged()
  world.confirm()
  expect(world.grants).toEqual([])
})

test('a confirmation of a round that was given up grants nothing', () => {
  const world = new World().reign()
  world.renew(2)
  world.tick()
  const late = world.rounds[0] ?? new Uint8Array(0)
  for (let tick = 0; tick < 5; tick++) world.tick()
  expect(world.rounds.length).toBeGreaterThan(1)
  world.leadership.roundConfirmed(late)
  expect(world.grants).toEqual([])
  world.confirm()
  expect(world.grants).toEqual(['n2'])
})

test('nobody is declared lost before a whole lease and its margin have passed since the reign began', () => {
  const world = new World().reign()
  const lease = world.machine.state.settings.leaseMs + LAN_TIMING.leaseMarginMs
  world.tick(lease - 1)
  world.leadership.collect()
  expect(world.entries).toHaveLength(0)
  world.tick(1)
  world.leadership.collect()
  expect(world.entries).toHaveLength(1)
})

test('a leader whose clock a majority contradicts hands over, and again while it leads', () => {
  const world = new World().reign()
  world.renew(2, -3_600_000)
  world.renew(3, -3_600_000)
  world.tick()
  expect(world.transfers).toHaveLength(1)
  for (let tick = 0; tick < 60; tick++) world.tick()
  expect(world.transfers).toHaveLength(3)
})

test('one voter with a wrong clock moves nobody', () => {
  const world = new World().reign()
  world.renew(2, -3_600_000)
  world.renew(3)
  world.tick()
  expect(world.transfers).toEqual([])
})
