/** What every attempt host promises, held against the real one and the simulated one. */
import { afterEach, describe, expect, test } from 'vitest'
import { incarnation } from '../../base/ids.ts'
import { durationMs, monotonicMs, timestampMs } from '../../base/units.ts'
import type { AttemptExit, AttemptHost, AttemptStart } from '../../runtime/ports/attempt-host.ts'
import { createAttemptLedger } from '../../sim/attempt-ledger.ts'
import { createSimMachine } from '../../sim/attempt-host.ts'
import type { SimBehaviour, SimMachine } from '../../sim/attempt-host.ts'
import { attempt, json, parsed, recordHost, whenSaid } from '../helpers/attempts.ts'
import type { HostRecord } from '../helpers/attempts.ts'
import { startRealHost } from '../helpers/real-attempts.ts'
import { createVirtualTime } from '../helpers/virtual-time.ts'
import type { VirtualTime } from '../helpers/virtual-time.ts'

interface Subject {
  readonly host: AttemptHost
  readonly record: HostRecord
  readonly leaseMarginMs: number
  /** Moves the deadline of an incarnation to this long from now. */
  lease(ms: number, of?: number): void
  /** Lets happen what happens until the condition holds. */
  until(condition: () => boolean): Promise<void>
  close(): Promise<void>
}

/** The same handlers for both: `ok`, `throws`, `obeys` (a request to stop), `ignores` (it). Each prints one line. */
const MODULES = Object.fromEntries(
  Object.entries({
    ok: 'return { ok: true }',
    throws: 'throw Object.assign(new Error("no"), { code: "NO" })',
    obeys: 'await new Promise((resolve) => signal.addEventListener("abort", resolve))',
    ignores: 'await new Promise(() => setInterval(() => {}, 1000))'
  }).map(([name, body]) => [
    `${name}.mjs`,
    `export default async (input, { signal }) => { console.log('on'); ${body} }`
  ])
)
const BEHAVIOURS: Readonly<Record<string, Pick<SimBehaviour, 'runMs' | 'end' | 'obeyMs'>>> = {
  ok: { runMs: 5, end: { outcome: 'succeeded', result: json({ ok: true }) }, obeyMs: 1 },
  throws: {
    runMs: 5,
    end: { outcome: 'failed', error: { code: 'NO', message: 'no', retryable: true } },
    obeyMs: 1
  },
  obeys: { runMs: Infinity, end: { outcome: 'succeeded', result: json(null) }, obeyMs: 3 },
  ignores: { runMs: Infinity, end: { outcome: 'succeeded', result: json(null) }, obeyMs: Infinity }
}

async function real(): Promise<Subject> {
  const started = await startRealHost(MODULES, { leaseMarginMs: 250, executors: ['js'] })
  const { host, record } = started
  return {
    host,
    record,
    leaseMarginMs: 250,
    lease: (ms, of = 1) => {
      host.extendLease(incarnation(of), monotonicMs(performance.now() + ms))
    },
    until: (condition) => whenSaid(record, condition),
    close: () => started.close()
  }
}

interface SimSubject extends Subject {
  readonly time: VirtualTime
  readonly machine: SimMachine
  readonly ledger: ReturnType<typeof createAttemptLedger>
}

async function simulated(): Promise<SimSubject> {
  const time = createVirtualTime()
  const ledger = createAttemptLedger(() => time.now())
  const machine = createSimMachine({
    name: 'machine 1',
    clock: {
      monotonicNow: () => monotonicMs(time.now()),
      wallNow: () => timestampMs(1e12 + time.now())
    },
    timers: {
      after: (delayMs, callback) => {
        let cancelled = false
        time.schedule(delayMs, () => {
          if (!cancelled) callback()
        })
        return () => {
          cancelled = true
        }
      },
      soon: (callback) => {
        time.schedule(0, callback)
      }
    },
    offer: { executors: ['js'], handlers: { ok: 'a', throws: 'b', obeys: 'c', ignores: 'd' } },
    leaseMarginMs: 20,
    killMs: 5,
    noticeMs: 2,
    ledger,
    behaviour: ({ handler }) => ({
      ...BEHAVIOURS[handler]!,
      output: [{ stream: 'stdout', bytes: new TextEncoder().encode('on\n') }],
      peakMemoryBytes: 1000
    })
  })
  const host = machine.createHost()
  const record = recordHost()
  await host.start(record)
  return {
    host,
    record,
    leaseMarginMs: 20,
    time,
    machine,
    ledger,
    lease: (ms, of = 1) => {
      host.extendLease(incarnation(of), monotonicMs(time.now() + ms))
    },
    until: time.until,
    close: async () => {
      const closed = host.close()
      await time.until(() => machine.running() === 0)
      await closed
      expect(ledger.violations).toEqual([])
    }
  }
}

let subject: Subject | undefined
afterEach(async () => {
  await subject?.close()
  subject = undefined
})

describe.each([
  ['real', real],
  ['simulated', simulated]
] as const)('the %s attempt host', (_name, create) => {
  const open = async (leaseMs = 60_000): Promise<Subject> => {
    subject = await create()
    subject.lease(leaseMs)
    return subject
  }
  const exitOf = async (on: Subject, token: number): Promise<AttemptExit> => {
    const find = (): AttemptExit | undefined => on.record.exits.find((exit) => exit.token === token)
    await on.until(() => find() !== undefined)
    return find()!
  }
  const run = (on: Subject, start: AttemptStart): Promise<AttemptExit> => {
    on.host.begin(start)
    return exitOf(on, start.token)
  }
  /** Begins it and waits until it runs. */
  const running = async (on: Subject, start: AttemptStart): Promise<void> => {
    on.host.begin(start)
    await on.until(() => on.record.output(start.token) === 'on\n')
  }

  test('reports what came of an attempt, after its start and its output', async () => {
    const on = await open()
    const exit = await run(on, attempt(1, { handler: 'ok' }))
    expect(exit).toMatchObject({ outcome: 'succeeded', reason: undefined, error: undefined })
    expect(parsed(exit.result)).toEqual({ ok: true })
    expect(exit.finishedAt).toBeGreaterThanOrEqual(exit.startedAt)
    expect(exit.runMs).toBeGreaterThan(0)
    expect(exit.peakMemoryBytes).toBeGreaterThan(0)
    expect(on.record.started).toEqual([1])
    expect(on.record.output(1)).toBe('on\n')
    const failed = await run(on, attempt(2, { handler: 'throws' }))
    expect(failed).toMatchObject({ outcome: 'failed', error: { code: 'NO', message: 'no', retryable: true } })
  })

  test('never calls back from within begin', async () => {
    const on = await open()
    on.host.begin(attempt(1, { incarnation: incarnation(9) }))
    expect(on.record.exits).toEqual([])
    await exitOf(on, 1)
  })

  test('starts nothing without a lease, nor within its margin, nor after its incarnation ended', async () => {
    const on = await open()
    const refused = { outcome: 'not-started', reason: 'lease' }
    expect(await run(on, attempt(1, { incarnation: incarnation(2) }))).toMatchObject(refused)
    on.lease(on.leaseMarginMs - 1, 3)
    expect(await run(on, attempt(2, { incarnation: incarnation(3) }))).toMatchObject(refused)
    await on.host.endIncarnation(incarnation(3))
    on.lease(60_000, 3)
    expect(await run(on, attempt(3, { incarnation: incarnation(3) }))).toMatchObject(refused)
    expect(on.record.started).toEqual([])
  })

  test('asks what it stops, and kills what does not obey', async () => {
    const on = await open()
    for (const [token, handler] of [
      [1, 'obeys'],
      [2, 'ignores']
    ] as const) {
      await running(on, attempt(token, { handler }))
      on.host.stop(attempt(token).token, 'replace')
      const exit = await exitOf(on, token)
      expect(exit).toMatchObject({ outcome: 'stopped', reason: 'replace', error: { code: 'REPLACED' } })
      if (handler === 'ignores') expect(exit.runMs).toBeGreaterThanOrEqual(200)
    }
    on.host.stop(attempt(1).token, 'cancel')
    on.host.stop(attempt(77).token, 'cancel')
    await run(on, attempt(3))
    expect(on.record.exits.length).toBe(3)
  })

  test('ends an attempt at its timeout', async () => {
    const on = await open()
    const exit = await run(on, attempt(1, { handler: 'obeys', startToCloseMs: durationMs(30) }))
    expect(exit).toMatchObject({ outcome: 'stopped', reason: 'timeout', error: { code: 'TIMEOUT' } })
    expect(exit.runMs).toBeGreaterThanOrEqual(30)
  })

  test('kills at the end of the lease, and not before while it is extended', async () => {
    const on = await open()
    on.lease(1500, 2)
    // A busy machine may need longer than that to start three processes.
    const renewal = setInterval(() => {
      on.lease(1500, 2)
    }, 100)
    const second = { incarnation: incarnation(2), handler: 'ignores' }
    await running(on, attempt(1, second))
    await running(on, attempt(2, { ...second, onLeaseLoss: 'continue' }))
    await running(on, attempt(3, { handler: 'ignores' }))
    clearInterval(renewal)
    expect(await exitOf(on, 1)).toMatchObject({ outcome: 'stopped', reason: 'lease' })
    expect(on.record.exits.length).toBe(1)
    on.lease(60_000, 2)
    expect(await run(on, attempt(4, { incarnation: incarnation(2) }))).toMatchObject({ outcome: 'succeeded' })
  })

  test('ends an incarnation with one report for each of its attempts', async () => {
    const on = await open()
    await running(on, attempt(1, { handler: 'ignores' }))
    await running(on, attempt(2, { handler: 'obeys', onLeaseLoss: 'continue' }))
    on.lease(60_000, 2)
    await running(on, attempt(3, { handler: 'ignores', incarnation: incarnation(2) }))
    let ended = false
    const end = on.host.endIncarnation(incarnation(1)).then(() => {
      ended = on.record.exits.length === 2
    })
    await on.until(() => on.record.exits.length === 2)
    await end
    expect(ended).toBe(true)
    expect(on.record.exits.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['stopped', 'lease'],
      ['stopped', 'lease']
    ])
    await on.host.endIncarnation(incarnation(1))
  })

  test('reports each of many attempts once, whatever happens to them', async () => {
    const on = await open()
    const handlers = ['ok', 'throws', 'obeys', 'ok']
    for (let token = 1; token <= 200; token++) {
      on.host.begin(attempt(token, { handler: handlers[token % 4]!, killGraceMs: durationMs(20) }))
      if (token % 3 === 0) on.host.stop(attempt(token - 1).token, 'cancel')
    }
    for (let token = 1; token <= 200; token++) on.host.stop(attempt(token).token, 'drain')
    await on.until(() => on.record.exits.length >= 200)
    await run(on, attempt(1000))
    expect(on.record.exits.map(({ token }) => token).toSorted((a, b) => a - b)).toEqual([
      ...Array.from({ length: 200 }, (_, index) => index + 1),
      1000
    ])
  })
})

describe('the simulated machine', () => {
  test('kills what ran when its node crashes, tells nobody, and the next node waits for it', async () => {
    const sim = await simulated()
    sim.lease(60_000)
    sim.host.begin(attempt(1, { handler: 'ignores' }))
    await sim.until(() => sim.record.started.length === 1)
    sim.machine.crash()
    const record = recordHost()
    let started = false
    const start = sim.machine
      .createHost()
      .start(record)
      .then(() => {
        started = sim.ledger.entries.every(({ endedAt }) => endedAt !== undefined)
      })
    await sim.time.advance(100)
    await start
    expect(started).toBe(true)
    expect(sim.record.exits).toEqual([])
    expect(sim.machine.running()).toBe(0)
  })

  test('tells of a lost supervisor after the reports', async () => {
    const sim = await simulated()
    sim.lease(60_000)
    sim.host.begin(attempt(1, { handler: 'ignores' }))
    await sim.until(() => sim.record.started.length === 1)
    sim.machine.loseSupervisor()
    await sim.until(() => sim.record.lost.length === 1)
    expect(sim.record.exits).toMatchObject([{ outcome: 'stopped', reason: 'lease' }])
  })

  test('has a ledger that sees two attempts of a task at once, and a token that starts twice', () => {
    const ledger = createAttemptLedger(() => 5)
    ledger.started(attempt(1), 'a')
    ledger.started(attempt(2, { taskId: attempt(1).taskId }), 'b')
    expect(ledger.violations.map(({ type }) => type)).toEqual(['overlap'])
    ledger.ended(attempt(1), 'a')
    ledger.ended(attempt(2, { taskId: attempt(1).taskId }), 'b')
    ledger.started(attempt(1), 'b')
    expect(ledger.violations.map(({ type }) => type)).toEqual(['overlap', 'restart'])
  })
})
