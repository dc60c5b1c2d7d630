/**
 * Which handlers are so short that their attempts may be handed to a process before it has finished the last one: then
 * many share a system call each way, and what the queue costs an attempt is less than the round trip that it saves.
 *
 * A handler earns it by a run of short attempts and loses it with the first that is not. After a much longer run its
 * process need not even announce each start before it calls the handler, which costs a system call: should the process die
 * then, all that it held may have run, and is judged so.
 */
const SHORT_MS = 5
const SHORT_IN_A_ROW = 32
const TRUSTED_IN_A_ROW = 1_000

export class Briskness {
  readonly #shortInARow = new Map<string, number>()

  observe(handler: string, runMs: number): void {
    if (runMs > SHORT_MS) this.#shortInARow.delete(handler)
    else this.#shortInARow.set(handler, (this.#shortInARow.get(handler) ?? 0) + 1)
  }

  isBrisk(handler: string): boolean {
    return (this.#shortInARow.get(handler) ?? 0) >= SHORT_IN_A_ROW
  }

  isTrusted(handler: string): boolean {
    return (this.#shortInARow.get(handler) ?? 0) >= TRUSTED_IN_A_ROW
  }
}
