/**
 * Bytes arrive as they were given: an attempt gets its task's input and its needs' accepted results, and history keeps
 * the result of the attempt that the log accepted, whether the bytes travelled inline or lay in the store.
 */
import type { AttemptStart } from '../../runtime/ports/attempt-host.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'

const utf8 = new TextEncoder()
const text = new TextDecoder()

export class ContentChecker {
  readonly violations: string[] = []
  readonly #inputs = new Map<string, string>()
  /** Token of the accepted attempt by task. */
  readonly #accepted = new Map<number, number>()

  /** `params` tell tasks of a submission apart. */
  submitted(name: string, params: string, input: string): void {
    this.#inputs.set(`${name} ${params}`, input)
  }

  applied(events: readonly SchedulerEvent[]): void {
    for (const event of events) {
      if (event.type !== 'task-ended' || event.row.status !== 'succeeded') continue
      this.#accepted.set(event.row.id, event.row.token ?? 0)
    }
  }

  begun(attempt: AttemptStart): void {
    const { taskId, name, params, input, needs } = attempt
    if (text.decode(input) !== this.#inputs.get(`${name} ${text.decode(params)}`))
      this.violations.push(`task ${taskId} began with an input of ${input.length} bytes that is not its own`)
    for (const [as, bytes] of Object.entries(needs)) {
      const { task, token } = readResult(bytes)
      if (this.#accepted.get(task) !== token)
        this.violations.push(`task ${taskId} began with a result of ${as} that was not accepted`)
    }
  }

  /** What a node's history says of a task that succeeded. */
  kept(task: number, token: number, result: Uint8Array): void {
    if (text.decode(result) !== text.decode(resultOf(task, token)) || this.#accepted.get(task) !== token)
      this.violations.push(`history of task ${task} keeps another result than the accepted one`)
  }
}

/** The result of an attempt: names it, and is long for some tasks so that it goes to the store. */
export function resultOf(task: number, token: number): Uint8Array {
  const padding = task % 5 === 0 ? 'r'.repeat(1_000 + ((task * 37) % 9_000)) : ''
  return utf8.encode(JSON.stringify({ task, token, padding }))
}

function readResult(bytes: Uint8Array): { readonly task: number; readonly token: number } {
  return JSON.parse(text.decode(bytes)) as { task: number; token: number }
}
