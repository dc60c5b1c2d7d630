import type { NodeId } from '../../base/ids.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'

/**
 * Tells the operator that the cluster refuses what a node offers: it looks up then, and nothing ever runs there. Once for
 * each reason, since the node announces itself again and again.
 */
export function refusedOffers(
  node: NodeId,
  logger: Pick<Logger, 'error'>
): (events: readonly SchedulerEvent[]) => void {
  let told = ''
  return (events) => {
    for (const event of events) {
      if (event.type !== 'command-refused' || event.command !== 'announce' || event.node !== node) continue
      // Any other refusal is of an announcement that came late or twice, not of what it offers.
      if (event.code !== 'LIMIT_EXCEEDED' || event.message === told) continue
      told = event.message
      logger.error(
        { nodeId: node, reason: told },
        'the cluster refuses what this node offers: nothing runs here'
      )
    }
  }
}
