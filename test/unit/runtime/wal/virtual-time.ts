/** Virtual time for one test: callbacks run in the order of their due times, with all promises settled in between. */
export interface VirtualTime {
  readonly schedule: (delayMs: number, callback: () => void) => void
  /** Runs at most `steps` callbacks; returns how many there were. */
  run(steps?: number): Promise<void>
}

/** More callbacks than any test needs. */
const ENDLESS = 10_000

export function createVirtualTime(): VirtualTime {
  const due: { readonly at: number; readonly order: number; readonly callback: () => void }[] = []
  let now = 0
  let order = 0
  return {
    schedule: (delayMs, callback) => {
      due.push({ at: now + delayMs, order: order++, callback })
    },
    run: async (steps) => {
      await settled()
      for (let done = 0; done < (steps ?? ENDLESS); done++) {
        if (done === ENDLESS - 1) throw new Error('time goes on without end')
        due.sort((a, b) => a.at - b.at || a.order - b.order)
        const next = due.shift()
        if (next === undefined) break
        now = next.at
        next.callback()
        await settled()
      }
    }
  }
}

/** Resolves when no promise is left to settle by itself: a macrotask later. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
