/**
 * Dials peers, one attempt to a peer at a time. libp2p lets a second dial to the same peer join the first, forced or not;
 * then two users would share a connection that each believes to be its own to close.
 */
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { PeerId } from '../../base/ids.ts'

export interface Dialer {
  /** A connection of the caller's own. Rejects with the signal's reason once that is aborted. */
  dial(addresses: readonly Multiaddr[], signal: AbortSignal): Promise<Connection>
}

export function createDialer(node: Libp2p): Dialer {
  const last = new Map<string, Promise<unknown>>()
  return {
    dial: async (addresses, signal) => {
      const key = String(addresses.map((address) => peerOf(address) ?? address.toString()).at(0))
      const dialled = (last.get(key) ?? Promise.resolve()).then(() => {
        signal.throwIfAborted()
        return node.dial([...addresses], { force: true, signal })
      })
      const over = dialled.catch(() => undefined)
      last.set(key, over)
      void over.then(() => {
        if (last.get(key) === over) last.delete(key)
      })
      return raceSignal(dialled, signal)
    }
  }
}

/** The peer that an address names, if it names one. */
export function peerOf(address: Multiaddr): PeerId | undefined {
  const name = address.getComponents().findLast((component) => component.name === 'p2p')?.value
  return name as PeerId | undefined
}

/** An address that can only reach this peer: whoever else answers there fails the noise handshake. */
export function withPeer(address: string, peer: PeerId): Multiaddr {
  const parsed = multiaddr(address)
  return peerOf(parsed) === undefined ? parsed.encapsulate(`/p2p/${peer}`) : parsed
}

/** The outcome of `work`, or the signal's reason if that comes first. */
export function raceSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error)
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort)
    })
  })
}
