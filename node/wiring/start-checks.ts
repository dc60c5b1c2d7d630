/**
 * What is known to be wrong before a node is made. A folder that has an identity keeps it for good, so a start that cannot
 * succeed must fail before one is written: else it has founded a cluster of its own.
 */
import { createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { checkBinding } from '../../api/hosts.ts'
import { portInUse } from '../../api/server.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import { peerOf } from '../transport/dialer.ts'
import { checkHandlersFolder, invalidOption } from './handlers-folder.ts'

interface Asked {
  readonly httpHost: string
  readonly httpPort: number
  readonly peerHost: string
  readonly peerPort: number
  readonly join: readonly string[]
  readonly handlersFolder?: string | undefined
}

/** Throws CONFIG_INVALID for what no folder could make good. */
export function checkAsked({ httpHost, join, handlersFolder }: Asked): void {
  checkBinding(httpHost, false)
  for (const address of join) {
    if (!isAddress(address))
      throw invalidOption('join', address, 'an address such as /ip4/192.0.2.2/tcp/7401')
  }
  if (handlersFolder !== undefined) checkHandlersFolder(handlersFolder)
}

/** Rejects with PORT_IN_USE, or CONFIG_INVALID for an address that is not this machine's, where a new node could not listen. */
export async function checkPorts({ httpHost, httpPort, peerHost, peerPort }: Asked): Promise<void> {
  await checkListening('http-host', httpHost, httpPort)
  await checkListening('peer-host', peerHost, peerPort)
}

/**
 * Why `--join` goes unused, for a folder that belongs to a node already; undefined where it leads to a member of that
 * node's own cluster, as when a node is started anew with the same command line.
 */
export function unusedJoin(
  join: readonly string[],
  { nodeId, clusterId }: { readonly nodeId: number; readonly clusterId: string },
  state: Pick<SchedulerState, 'peers' | 'nodes'>
): string | undefined {
  const known = [...state.nodes.values()].flatMap(({ offer }) => offer.addresses)
  const leadsToMember = (address: string): boolean => {
    const peer = peerOf(multiaddr(address))
    if (peer !== undefined) return state.peers.has(peer)
    return known.some((other) => other === address || other.startsWith(`${address}/`))
  }
  if (join.length === 0 || join.some(leadsToMember)) return undefined
  return (
    `--join is not used: this folder belongs to node ${nodeId} of cluster ${clusterId}, which knows no member at ` +
    `${join.join(', ')}. To join another cluster, start on an empty folder`
  )
}

function isAddress(text: string): boolean {
  try {
    return multiaddr(text).getComponents().length > 0
  } catch {
    return false
  }
}

/** Listens there for a moment. */
async function checkListening(option: string, host: string, port: number): Promise<void> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, resolve)
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw portInUse(host, port, error)
    throw invalidOption(option, host, `an address to listen on with port ${port} (${code ?? String(error)})`)
  }
  await new Promise((resolve) => server.close(resolve))
}
