/** All checkers of one simulation, and who of them hears what. */
import type { AppError } from '../../base/errors.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import { createAttemptLedger, type AttemptLedger } from '../attempt-ledger.ts'
import { AttemptChecker } from './attempts.ts'
import { ChecksumChecker } from './checksums.ts'
import { ContentChecker } from './content.ts'
import { CopyChecker } from './copies.ts'
import { LeaderChecker } from './leaders.ts'
import { OnceChecker } from './once.ts'
import { ReadChecker } from './reads.ts'
import { StateTimeChecker } from './state-time.ts'
import { TaskChecker } from './tasks.ts'
import { TraceChecker } from './trace.ts'

export class Checkers {
  readonly trace = new TraceChecker()
  readonly leaders = new LeaderChecker()
  readonly tasks = new TaskChecker()
  readonly once = new OnceChecker()
  readonly reads = new ReadChecker()
  readonly content = new ContentChecker()
  readonly checksums = new ChecksumChecker()
  readonly stateTime: StateTimeChecker
  readonly attempts: AttemptChecker
  readonly copies: CopyChecker
  /** What was found wrong with models, by whoever asks for them. */
  readonly models: string[] = []
  /** Where machines report what they run. */
  readonly ledger: AttemptLedger
  readonly #now: () => number
  readonly #fatal: string[] = []

  /** `slots` of each node. */
  constructor(now: () => number, slots: number) {
    this.#now = now
    this.stateTime = new StateTimeChecker(now)
    this.attempts = new AttemptChecker(slots)
    const ledger = createAttemptLedger(now)
    this.copies = new CopyChecker(ledger)
    this.ledger = {
      copied: (copy, of) => {
        ledger.copied(copy, of)
      },
      entries: ledger.entries,
      violations: ledger.violations,
      started: (attempt, machine) => {
        ledger.started(attempt, machine)
        this.attempts.started(attempt, machine)
      },
      ended: (attempt, machine) => {
        ledger.ended(attempt, machine)
        this.attempts.ended(attempt)
      }
    }
  }

  /** A node applied an entry. */
  applied(node: number, index: number, events: readonly SchedulerEvent[]): void {
    this.copies.applied(index, events)
    this.trace.applied(Math.floor(this.#now() * 1000), node, index, events)
    this.tasks.applied(index, events)
    this.once.applied(events)
    this.attempts.applied(events)
    this.content.applied(events)
  }

  /** A node ended itself, which none of the simulated faults asks of it. */
  fatal(node: number, error: AppError): void {
    this.#fatal.push(`node ${node} stopped: ${error.code}: ${error.message}`)
    this.trace.note(`fatal ${node} ${error.code}`)
  }

  /** Everything that any checker found. */
  violations(): string[] {
    const overlaps = this.ledger.violations.map(({ type, at, entries: [a, b] }) => {
      return `${type} at ${at.toFixed(0)} ms: task ${b.taskId} on ${a.machine} (token ${a.token}) and ${b.machine} (token ${b.token})`
    })
    const { trace, leaders, tasks, once, reads, content, checksums, stateTime, attempts, copies } = this
    const checkers = [trace, leaders, tasks, once, reads, content, checksums, stateTime, attempts, copies]
    return [...this.#fatal, ...overlaps, ...this.models, ...checkers.flatMap(({ violations }) => violations)]
  }
}
