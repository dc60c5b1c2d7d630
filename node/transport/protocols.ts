import type { Channel } from '../../runtime/ports/transport.ts'

/** libp2p names of our protocols. The number is the framing's; what frames say is versioned in the greeting. */
const PREFIX = '/dtss/1'
export const REQUEST_PROTOCOL = `${PREFIX}/request`
export const SNAPSHOT_PROTOCOL = `${PREFIX}/snapshot`

export function protocolOf(channel: Channel): string {
  return `${PREFIX}/${channel}`
}
