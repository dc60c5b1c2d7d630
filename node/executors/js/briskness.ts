/**
 * Which handlers are so short that their attempts may be handed to a process before it has finished the last one: then
 * many share a system call each way, and what the queue costs an attempt is less than the round trip that it saves.
 *
 * A handler earns it by a run of short attempts and loses it with the first that is not.
 */
const SHORT_MS = 5
const SHORT_IN_A_ROW = 32

export class Briskness {
  readonly #shortInARow = new Map<string, number>()

  observe(handler: string, runMs: number): void {
    if (runMs > SHORT_MS) this.#shortInARow.delete(handler)
    else this.#shortInARow.set(handler, (this.#shortInARow.get(handler) ?? 0) + 1)
  }

  isBrisk(handler: string): boolean {
    return (this.#shortInARow.get(handler) ?? 0) >= SHORT_IN_A_ROW
  }
}
