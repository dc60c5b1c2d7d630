/** Work that is done in steps, so that whoever does it can do other things in between. */

/** A value that comes after some steps. */
export type Steps<T> = Generator<undefined, T, undefined>

/** All steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Each step in a turn of its own; `soon` runs a callback in a later one. */
export async function inTurns<T>(steps: Steps<T>, soon: (callback: () => void) => void): Promise<T> {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    await new Promise<void>((resolve) => {
      soon(resolve)
    })
  }
}
