import { expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../../base/ids.ts'
import type { FencingToken } from '../../../../base/ids.ts'
import { durationMs, timestampMs } from '../../../../base/units.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'
import type { Proposal } from '../../../../scheduler/proposals.ts'
import type { AttemptExit, AttemptStart } from '../../../../runtime/ports/attempt-host.ts'
import { Reconciler } from '../../../../runtime/execution/reconciler.ts'
import { Machine, spec } from '../../../helpers/scheduler.ts'
import { HandClock, settled, SILENT } from '../stub-ports.ts'
import { StubHost } from './stub-host.ts'

const RESEND_MS = 1_000
const LAZY_MS = 500

/** Node 1 of two, its state driven by hand; `sent` says what it told the log. */
class World {
  readonly machine = new Machine().withNodes(2)
  readonly clock = new HandClock()
  readonly host = new StubHost()
  readonly sent: string[] = []
  leased = true
  prepareFails = false
  readonly reconciler: Reconciler

  constructor() {
    this.reconciler = new Reconciler(
      {
        nodeId: nodeId(1),
        clock: this.clock,
        logger: SILENT,
        host: this.host,
        lazyStartMs: LAZY_MS,
        resendMs: RESEND_MS,
        leaseValid: () => this.leased,
        prepare: (_task, { token }) =>
          this.prepareFails
            ? Promise.reject(new Error('no row'))
            : Promise.resolve({ token } as unknown as AttemptStart),
        notify: (proposal) => this.sent.push(label(proposal))
      },
      this.machine.state
    )
    this.reconciler.open(incarnation(1))
  }

  /** Submits and places a task on a node; returns its token. */
  async placed(node = 1): Promise<number> {
    const id = this.machine.state.nextTaskId
    this.machine.submit([spec()])
    const number = this.machine.state.nodes.get(nodeId(node))?.incarnation ?? incarnation(0)
    const place = { type: 'place', taskId: taskId(id), node: nodeId(node), incarnation: number } as const
    const events = this.machine.apply(place)
    await this.observe(events)
    const event = events.find(({ type }) => type === 'task-placed')
    return event?.type === 'task-placed' ? event.placement.token : 0
  }

  async observe(events: readonly SchedulerEvent[]): Promise<void> {
    this.reconciler.observe(events)
    await settled()
  }

  exit(token: number, fields: Partial<AttemptExit> = {}): void {
    this.reconciler.exited({
      token: token as FencingToken,
      outcome: 'succeeded',
      reason: undefined,
      result: new Uint8Array(0),
      error: undefined,
      startedAt: timestampMs(1),
      finishedAt: timestampMs(2),
      runMs: durationMs(1),
      peakMemoryBytes: 0,
      ...fields
    })
  }

  tick(afterMs: number): string[] {
    this.clock.advance(afterMs)
    this.sent.length = 0
    this.reconciler.tick()
    return this.sent.splice(0)
  }
}

function label(proposal: Proposal): string {
  if (proposal.type === 'report') {
    const { token, outcome, error } = proposal.report
    return `report ${token} ${outcome}${error === undefined ? '' : ` ${error.code}`}`
  }
  return proposal.type === 'start' ? `start ${proposal.token}` : proposal.type
}

test('what is placed on this node begins, once; what is placed elsewhere does not', async () => {
  const world = new World()
  const token = await world.placed()
  await world.placed(2)
  world.reconciler.reconcile()
  await settled()
  expect(world.host.begun).toEqual([token])
  expect(world.reconciler.running).toBe(1)
})

test('nothing begins without a lease; the grant begins it', async () => {
  const world = new World()
  world.leased = false
  const token = await world.placed()
  world.reconciler.reconcile()
  await settled()
  expect(world.host.begun).toEqual([])
  world.leased = true
  world.reconciler.leaseGranted()
  world.reconciler.leaseGranted()
  await settled()
  expect(world.host.begun).toEqual([token])
})

test('a placement of another incarnation does not begin', async () => {
  const world = new World()
  world.reconciler.close()
  await world.placed()
  world.reconciler.open(incarnation(2))
  await settled()
  expect(world.host.begun).toEqual([])
})

test('a placement that was withdrawn while it waited for the lease does not begin', async () => {
  const world = new World()
  world.leased = false
  await world.placed()
  await world.observe(world.machine.endIncarnation(1, 1))
  world.leased = true
  world.reconciler.leaseGranted()
  await settled()
  expect(world.host.begun).toEqual([])
})

test('a report is repeated until the log has judged it', async () => {
  const world = new World()
  const token = await world.placed()
  world.exit(token)
  expect(world.sent).toEqual([`report ${token} succeeded`])
  expect(world.reconciler.outbox()).toHaveLength(1)
  expect(world.tick(RESEND_MS - 1)).toEqual([])
  expect(world.tick(1)).toEqual([`report ${token} succeeded`])
  await world.observe(world.machine.complete(1, token))
  expect(world.reconciler.outbox()).toEqual([])
  expect(world.tick(RESEND_MS)).toEqual([])
})

test('a refused report leaves the outbox too', async () => {
  const world = new World()
  const token = await world.placed()
  world.exit(token)
  await world.observe([
    { type: 'report-refused', taskId: taskId(1), token: token as FencingToken, stale: true }
  ])
  expect(world.reconciler.outbox()).toEqual([])
})

test('a new leader hears of everything unjudged with the next tick', async () => {
  const world = new World()
  const token = await world.placed()
  world.exit(token)
  world.reconciler.hurry()
  expect(world.tick(1)).toEqual([`report ${token} succeeded`])
})

test('an attempt with an unjudged report is not begun again', async () => {
  const world = new World()
  const token = await world.placed()
  world.exit(token)
  world.reconciler.reconcile()
  world.reconciler.replaceState(world.machine.state)
  world.reconciler.leaseGranted()
  await settled()
  expect(world.host.begun).toEqual([token])
})

test('the log asks for a stop once, and the host is told once', async () => {
  const world = new World()
  const token = await world.placed()
  await world.observe(world.machine.stop(1, token, 'cancel'))
  world.reconciler.reconcile()
  expect(world.host.stopped).toEqual([`${token} cancel`])
})

test('what was to stop before it began is reported as not started', async () => {
  const world = new World()
  world.leased = false
  const token = await world.placed()
  await world.observe(world.machine.stop(1, token, 'cancel'))
  expect(world.sent).toEqual([`report ${token} not-started`])
  world.leased = true
  world.reconciler.leaseGranted()
  await settled()
  expect(world.host.begun).toEqual([])
})

test('an attempt whose input cannot be read is reported as not started', async () => {
  const world = new World()
  world.prepareFails = true
  const token = await world.placed()
  expect(world.sent).toEqual([`report ${token} not-started`])
})

test('the end of the incarnation in the log stops what still runs', async () => {
  const world = new World()
  const token = await world.placed()
  await world.observe(world.machine.endIncarnation(1, 1))
  expect(world.host.stopped).toEqual([`${token} replace`])
})

test('a state from a snapshot stops what it does not grant', async () => {
  const world = new World()
  const token = await world.placed()
  world.reconciler.replaceState(new Machine().withNodes(2).state)
  expect(world.host.stopped).toEqual([`${token} replace`])
})

test('what the host ended by itself has failed; what the state asked for is stopped', async () => {
  const world = new World()
  const [a, b, c] = [await world.placed(), await world.placed(), await world.placed()]
  world.exit(a, { outcome: 'stopped', reason: 'timeout' })
  world.exit(b, { outcome: 'stopped', reason: 'lease' })
  world.exit(c, { outcome: 'stopped', reason: 'cancel' })
  expect(world.sent).toEqual([
    `report ${a} failed TIMEOUT`,
    `report ${b} failed LEASE_LOST`,
    `report ${c} stopped`
  ])
})

test('a start is recorded by itself only when the attempt runs long', async () => {
  const world = new World()
  const token = await world.placed()
  world.reconciler.started(token as FencingToken, timestampMs(5))
  expect(world.tick(LAZY_MS - 1)).toEqual([])
  expect(world.tick(1)).toEqual([`start ${token}`])
  const started = {
    type: 'start',
    taskId: taskId(1),
    token: token as FencingToken,
    startedAt: timestampMs(5)
  }
  await world.observe(world.machine.apply(started as never))
  expect(world.tick(RESEND_MS)).toEqual([])
})

test('the end of an attempt that this node does not know changes nothing', () => {
  const world = new World()
  world.exit(99)
  expect(world.sent).toEqual([])
})

test('the loser of two attempts is stopped when the log ends its task, and its report ends it here', async () => {
  const world = new World()
  const { machine } = world
  machine.submit([spec({ idempotent: true })])
  machine.place(1, 2)
  const number = machine.state.nodes.get(nodeId(1))?.incarnation ?? incarnation(0)
  const copy = { type: 'place-copy', taskId: taskId(1), node: nodeId(1), incarnation: number } as const
  await world.observe(machine.apply({ ...copy, of: 1 as FencingToken }))
  expect(world.host.begun).toEqual([2])
  await world.observe(machine.complete(1, 1))
  expect(world.host.stopped).toEqual(['2 superseded'])
  world.reconciler.reconcile()
  expect(world.host.stopped).toEqual(['2 superseded'])
  world.exit(2, { outcome: 'stopped', reason: 'superseded' })
  expect(world.sent.splice(0)).toEqual(['report 2 stopped'])
  await world.observe(machine.complete(1, 2, { outcome: 'stopped' }))
  expect(world.reconciler.outbox()).toEqual([])
})

test('a snapshot with a loser that never began here is answered with not-started', async () => {
  const world = new World()
  const { machine } = world
  machine.submit([spec({ idempotent: true })])
  machine.place(1, 2)
  machine.copy(1, 1)
  machine.complete(1, 1)
  world.reconciler.replaceState(machine.state)
  await settled()
  expect(world.host.begun).toEqual([])
  expect(world.sent).toEqual(['report 2 not-started'])
})
