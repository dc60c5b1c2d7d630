/**
 * Tells of something that keeps failing once when it begins and once when it works again; in between it is counted. For what is
 * tried several times a second, where a line each time would bury everything else.
 */
import { toAppError } from '../../base/errors.ts'
import type { Logger } from '../../runtime/ports/log.ts'

export class FaultLog {
  readonly #logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly #level: 'warn' | 'error'
  readonly #what: string
  #count = 0
  /** Failures of the stretch that is under way; 0 while it works. */
  #inRow = 0
  #message: string | undefined

  /** `what` is said in the log, and stands before what failed. */
  constructor(logger: Pick<Logger, 'info' | 'warn' | 'error'>, level: 'warn' | 'error', what: string) {
    this.#logger = logger
    this.#level = level
    this.#what = what
  }

  /** Failures since the start. */
  get count(): number {
    return this.#count
  }

  /** How it failed last; undefined while it works. */
  get message(): string | undefined {
    return this.#message
  }

  failed(error: unknown, fields: Readonly<Record<string, unknown>> = {}): void {
    const { message } = toAppError(error)
    this.#count++
    this.#inRow++
    // Another message is the same trouble: numbers in it would make a line of each.
    if (this.#inRow === 1) this.#logger[this.#level]({ ...fields, error: message }, this.#what)
    this.#message = message
  }

  worked(): void {
    if (this.#inRow > 0)
      this.#logger.info({ failures: this.#inRow, error: this.#message }, `over: ${this.#what}`)
    this.#inRow = 0
    this.#message = undefined
  }
}
