import { expect, test } from 'vitest'
import { incarnation, nodeId, peerId } from '../../../../base/ids.ts'
import { monotonicMs } from '../../../../base/units.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import type { Proposal } from '../../../../scheduler/proposals.ts'
import { LeaseHolder } from '../../../../runtime/leases/lease-holder.ts'
import { IncarnationKeeper } from '../../../../runtime/execution/incarnation-keeper.ts'
import { Machine, offer } from '../../../helpers/scheduler.ts'
import { HandClock, settled, SILENT } from '../stub-ports.ts'
import { StubHost } from './stub-host.ts'

const RESEND_MS = 1_000

/** Node 1, whose log is driven by hand; `said` is what happened, in order. */
class World {
  readonly machine = new Machine()
  readonly clock = new HandClock()
  readonly host = new StubHost()
  readonly lease = new LeaseHolder()
  readonly said: string[] = []
  readonly recording: (() => void)[] = []
  readonly announcements: Proposal[] = []
  readonly keeper: IncarnationKeeper

  constructor(last = 0) {
    this.machine.apply({ type: 'register-node', peerId: peerId('p1'), addresses: [], zone: '' })
    this.keeper = new IncarnationKeeper(
      {
        nodeId: nodeId(1),
        peerId: peerId('p1'),
        clock: this.clock,
        logger: SILENT,
        host: this.host,
        lease: this.lease,
        resendMs: RESEND_MS,
        offer: () => offer(),
        outbox: () => [],
        record: (number, onDurable) => {
          this.said.push(`record ${number}`)
          this.recording.push(onDurable)
        },
        notify: (proposal) => {
          this.said.push(
            'incarnation' in proposal ? `${proposal.type} ${proposal.incarnation}` : proposal.type
          )
          this.announcements.push(proposal)
        },
        onOpened: (number) => this.said.push(`opened ${number}`),
        onClosed: (number) => this.said.push(`closed ${number}`),
        onFatal: ({ code }) => this.said.push(`fatal ${code}`)
      },
      this.machine.state,
      incarnation(last)
    )
  }

  durable(): void {
    for (const onDurable of this.recording.splice(0)) onDurable()
  }

  /** The log applies the last announcement. */
  announced(): void {
    const proposal = this.announcements.at(-1)
    if (proposal?.type !== 'announce') throw new Error('nothing was announced')
    this.apply({ ...proposal, retryDelayMs: 0 as never })
  }

  apply(...commands: Command[]): void {
    this.keeper.observe(this.machine.apply(...commands))
  }

  heard(): string[] {
    return this.said.splice(0)
  }

  opened(): this {
    this.keeper.start()
    this.durable()
    this.announced()
    this.heard()
    return this
  }

  lost(number = 1): void {
    this.apply({
      ...{ type: 'end-incarnation', node: nodeId(1), incarnation: incarnation(number) },
      ...{ reason: 'lost', retryDelayMs: 0 as never }
    })
  }
}

test('a number is durable before it is announced (N1)', () => {
  const world = new World(4)
  world.keeper.start()
  expect(world.heard()).toEqual(['record 5'])
  world.clock.advance(RESEND_MS)
  world.keeper.tick()
  expect(world.heard()).toEqual([])
  world.durable()
  expect(world.heard()).toEqual(['announce 5'])
})

test('the log alone opens an incarnation; announcements are repeated until then (N3)', () => {
  const world = new World()
  world.keeper.start()
  world.durable()
  expect([world.heard(), world.keeper.phase]).toEqual([['record 1', 'announce 1'], 'announcing'])
  world.clock.advance(RESEND_MS - 1)
  world.keeper.tick()
  expect(world.heard()).toEqual([])
  world.clock.advance(1)
  world.keeper.tick()
  expect(world.heard()).toEqual(['announce 1'])
  world.announced()
  expect([world.heard(), world.keeper.phase]).toEqual([['opened 1'], 'open'])
  world.clock.advance(RESEND_MS)
  world.keeper.tick()
  expect(world.heard()).toEqual([])
})

test('a new leader is told with the next tick', () => {
  const world = new World()
  world.keeper.start()
  world.durable()
  world.heard()
  world.keeper.hurry()
  world.keeper.tick()
  expect(world.heard()).toEqual(['announce 1'])
})

test('after a lapse the next number is begun only when every attempt is gone (N2)', async () => {
  const world = new World().opened()
  const now = world.clock.monotonic
  world.lease.granted({ incarnation: incarnation(1), t0: monotonicMs(now), leaseMs: 500 }, monotonicMs(now))
  world.keeper.tick()
  expect(world.heard()).toEqual([])
  world.clock.advance(500)
  world.keeper.tick()
  await settled()
  expect([world.heard(), world.keeper.phase]).toEqual([['closed 1'], 'ending'])
  world.host.ending.get(1)?.()
  await settled()
  expect(world.heard()).toEqual(['record 2'])
})

test('an end by the log ends it here, and the next begins after', async () => {
  const world = new World().opened()
  world.lost()
  expect(world.heard()).toEqual(['closed 1'])
  expect(world.lease.valid(monotonicMs(0))).toBe(false)
  world.host.ending.get(1)?.()
  await settled()
  world.durable()
  world.announced()
  expect(world.heard()).toEqual(['record 2', 'announce 2', 'opened 2'])
})

test('a snapshot that shows the incarnation open opens it', () => {
  const world = new World()
  world.keeper.start()
  world.durable()
  const other = new Machine()
  other.apply({ type: 'register-node', peerId: peerId('p1'), addresses: [], zone: '' })
  other.announce(1, 1)
  world.heard()
  world.keeper.replaceState(other.state)
  expect(world.heard()).toEqual(['opened 1'])
})

test('a node whose cluster knows a higher number must not go on (N4)', () => {
  const world = new World()
  world.keeper.start()
  world.durable()
  world.heard()
  const other = new Machine()
  other.apply({ type: 'register-node', peerId: peerId('p1'), addresses: [], zone: '' })
  other.announce(1, 7)
  world.keeper.replaceState(other.state)
  expect(world.heard()).toEqual(['fatal HARD_STATE_CORRUPT'])
})

test('the founder registers itself before it announces', () => {
  const world = new World()
  world.keeper.replaceState(new Machine().state)
  world.keeper.start()
  world.durable()
  expect(world.heard()).toEqual(['record 1', 'register-node'])
})

test('a graceful stop ends attempts first, then tells the log, and begins nothing after', async () => {
  const world = new World().opened()
  const stopped = world.keeper.stop()
  await settled()
  expect(world.heard()).toEqual([])
  world.host.ending.get(1)?.()
  await stopped
  expect(world.heard()).toEqual(['end-incarnation 1'])
  world.lost()
  world.clock.advance(RESEND_MS)
  await settled()
  expect([world.heard().filter((line) => line !== 'end-incarnation 1'), world.keeper.phase]).toEqual([
    [],
    'stopped'
  ])
})
