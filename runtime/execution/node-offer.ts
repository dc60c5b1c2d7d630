/** What a node says of itself when it announces an incarnation. */
import type { NodeOffer } from '../../scheduler/types.ts'
import type { RuntimeConfig } from '../config.ts'
import type { RuntimePorts } from '../ports/index.ts'

/** The offer of the node with this configuration, whose HTTP API listens at `url`. */
export function nodeOffer(config: RuntimeConfig, { host, transport }: RuntimePorts, url: string): NodeOffer {
  const { executors, handlers } = host.offer
  const { labels, zone, slots, resources, version } = config
  return {
    executors,
    handlers,
    labels,
    zone,
    slots,
    resources,
    url,
    version,
    addresses: transport.addresses()
  }
}
