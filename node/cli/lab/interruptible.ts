/**
 * A run of the lab never yields: a listener for Ctrl-C would be heard when it is over, which may be in hours, and Node does not end a
 * process that listens. So nobody listens meanwhile, and a signal ends the process at once.
 */
import { setImmediate } from 'node:timers/promises'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Does work during which signals do what they do by default; throws the reason of `signal` when that was aborted before. */
export async function interruptible<T>(signal: AbortSignal | undefined, work: () => T): Promise<T> {
  // What came while files were read is heard now: signals between one turn's immediates and those of the next.
  await setImmediate()
  await setImmediate()
  signal?.throwIfAborted()
  // With what makes a `once` of them one.
  const listeners = SIGNALS.map((name) => [name, process.rawListeners(name)] as const)
  for (const name of SIGNALS) process.removeAllListeners(name)
  try {
    return work()
  } finally {
    for (const [name, own] of listeners) {
      for (const listener of own) process.on(name, listener as NodeJS.SignalsListener)
    }
  }
}
