/**
 * Listeners that learn and advise. All nodes hear the same log, so one that threw into `apply` would stop every node at the same
 * entry, and at each start again.
 *
 * 1. What such a listener throws is logged, the first time as an error, and has no further consequence.
 * 2. A listener that threw is called again: what it could not take may have been one event.
 * 3. `onEvents` is not one of them: who judges a node from there wants to be heard.
 */
import type { Logger } from './ports/log.ts'
import type { RuntimeOptions } from './runtime-options.ts'

/** The same options, with listeners that do not throw. */
export function shieldListeners(options: RuntimeOptions): RuntimeOptions {
  const { beforeEvents, onReign, onReplaced, onPolicyFailure } = options
  const { logger } = options.ports
  return {
    ...options,
    beforeEvents: shield('beforeEvents', beforeEvents, logger),
    onReign: shield('onReign', onReign, logger),
    onReplaced: shield('onReplaced', onReplaced, logger),
    onPolicyFailure: shield('onPolicyFailure', onPolicyFailure, logger)
  }
}

function shield<A extends unknown[]>(
  name: string,
  listener: ((...args: A) => void) | undefined,
  logger: Logger
): (...args: A) => void {
  let failures = 0
  return (...args) => {
    try {
      listener?.(...args)
    } catch (error) {
      const fields = { listener: name, failures: ++failures, error: String(error) }
      if (failures === 1) logger.error(fields, 'a listener failed; the node goes on without it')
      else logger.debug(fields, 'a listener failed again')
    }
  }
}
