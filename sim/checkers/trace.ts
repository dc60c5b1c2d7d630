/**
 * What every node applied, compared: at each log index all nodes must have seen the same events (state-machine safety),
 * whichever life of them it was. Also the simulation's fingerprint.
 */
import { crc32c } from '../../base/crc32c.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'

const utf8 = new TextEncoder()

export class TraceChecker {
  readonly #byIndex = new Map<number, { readonly digest: number; readonly node: number }>()
  readonly violations: string[] = []
  #hash = 0

  /** Hash over everything noted so far, in order: equal for equal seeds. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  /** Adds a line to the fingerprint. */
  note(line: string): void {
    this.#hash = crc32c(utf8.encode(line), this.#hash)
  }

  applied(at: number, node: number, index: number, events: readonly SchedulerEvent[]): void {
    const digest = crc32c(utf8.encode(events.map(describe).join('\n')), 0)
    const known = this.#byIndex.get(index)
    if (known === undefined) this.#byIndex.set(index, { digest, node })
    else if (known.digest !== digest) {
      this.violations.push(`index ${index}: node ${node} applied other events than node ${known.node}`)
    }
    this.note(`${at} n${node} i${index} ${digest}`)
  }
}

/** An event as text, as far as it is equal on all nodes (which all of it should be). */
function describe(event: SchedulerEvent): string {
  switch (event.type) {
    case 'task-submitted':
    case 'task-ready':
    case 'task-withdrawn':
      return `${event.type} ${event.task.id}`
    case 'task-placed':
    case 'task-started':
      return `${event.type} ${event.task.id} ${event.placement.node}/${event.placement.incarnation} ${event.placement.token}${event.placement.isCopy ? ' copy' : ''}`
    case 'task-stopping':
      return `${event.type} ${event.task.id} ${event.placement.token} ${event.reason}`
    case 'attempt-ended':
      return `${event.type} ${event.task.id} ${event.placement.token} ${event.end}`
    case 'task-ended':
      return `${event.type} ${event.row.id} ${event.row.status} ${event.row.finishedAt} ${event.row.attempts} ${event.row.attempt}`
    case 'outcome':
      return `${event.type} ${JSON.stringify(event.origin)} ${JSON.stringify(event.outcome)}`
    default:
      return JSON.stringify(event)
  }
}
