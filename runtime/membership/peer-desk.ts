/**
 * Answers requests from other nodes (joining, addresses, task output) and makes this node's own.
 *
 * Any member takes a joining node: it has the leader register the peer and answers with the number that the log gave it.
 */
import { AppError, toAppError } from '../../base/errors.ts'
import type { NodeId, PeerId, TaskId } from '../../base/ids.ts'
import { second } from '../../base/units.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { RuntimeConfig } from '../config.ts'
import type { AttemptLogs, LogChunk, LogPosition } from '../execution/attempt-logs.ts'
import type { Transport } from '../ports/transport.ts'
import type { AddressBook } from './address-book.ts'
import {
  decodeJoinReply,
  decodeLogChunks,
  decodePeerRequest,
  encodeJoinReply,
  encodeLogChunks,
  encodePeerRequest,
  type JoinReply
} from './peer-requests.ts'

export interface PeerDeskInput {
  readonly config: RuntimeConfig
  readonly logs: AttemptLogs
  readonly book: AddressBook
  readonly transport: Transport
  readonly state: () => SchedulerState
  /** Has the leader register a peer; repeated until the state knows it. */
  readonly register: (peer: PeerId, addresses: readonly string[], zone: string) => void
  readonly after: (milliseconds: number) => Promise<void>
}

const JOIN_ATTEMPTS = 150
const JOIN_INTERVAL_MS = 100
const REQUEST_TIMEOUT_MS = 5 * second
const NOTHING = new Uint8Array(0)

export class PeerDesk {
  readonly #input: PeerDeskInput

  constructor(input: PeerDeskInput) {
    this.#input = input
  }

  async answer(from: PeerId, member: NodeId | undefined, bytes: Uint8Array): Promise<Uint8Array> {
    const request = decodePeerRequest(bytes)
    if (request.type === 'join') return await this.#admit(from, request.addresses, request.zone)
    if (member === undefined)
      throw new AppError('JOIN_REFUSED', `peer ${from} is not a member of this cluster`)
    if (request.type === 'hello') {
      this.#input.book.told(from, request.addresses, this.#input.state().nodes)
      return NOTHING
    }
    return encodeLogChunks(await this.#input.logs.read(request.task, request.after, request.maxBytes))
  }

  /** Tells every known member where this node is now: it may have moved while it was down. */
  greet(): void {
    const { transport, book } = this.#input
    const hello = encodePeerRequest({ type: 'hello', addresses: transport.addresses() })
    for (const peer of book.peers) {
      // Who cannot be reached now learns the addresses from this node's next announcement.
      transport.request(peer.id, hello, { timeoutMs: REQUEST_TIMEOUT_MS }).catch(() => undefined)
    }
  }

  /** Output of a task from all members, in order; a member that cannot be reached is passed over. */
  async readLogs(task: TaskId, after: LogPosition, maxBytes: number): Promise<LogChunk[]> {
    const { transport, book, logs } = this.#input
    const request = encodePeerRequest({ type: 'logs', task, after, maxBytes })
    const asked = book.peers.map(async (peer) => {
      try {
        return decodeLogChunks(await transport.request(peer.id, request, { timeoutMs: REQUEST_TIMEOUT_MS }))
      } catch {
        return []
      }
    })
    return mergePages(await Promise.all([logs.read(task, after, maxBytes), ...asked]), maxBytes)
  }

  async #admit(peer: PeerId, addresses: readonly string[], zone: string): Promise<Uint8Array> {
    const { state, config, transport } = this.#input
    for (let attempt = 0; attempt < JOIN_ATTEMPTS; attempt++) {
      const id = state().peers.get(peer)
      if (id !== undefined) {
        const self = { id: config.nodeId, peerId: config.peerId, addresses: transport.addresses() }
        const reply: JoinReply = {
          clusterId: config.clusterId,
          nodeId: id,
          peers: [self, ...this.#input.book.peers]
        }
        return encodeJoinReply({ ...reply, peers: reply.peers.filter((known) => known.id !== id) })
      }
      // The founder's number is 1 because it registers first: nobody is let in through a node that is not in the books.
      if (attempt % 5 === 0 && state().nodes.has(config.nodeId)) this.#input.register(peer, addresses, zone)
      await this.#input.after(JOIN_INTERVAL_MS)
    }
    throw new AppError('NO_LEADER', 'no leader registered the joining node in time')
  }
}

/**
 * Asks the contacts, one after the other, to be let into their cluster. Used before the node has a number, by `node/`.
 * Rejects with the last contact's error.
 */
export async function requestJoin(
  transport: Pick<Transport, 'request' | 'addresses'>,
  contacts: readonly string[],
  zone: string,
  timeoutMs: number
): Promise<JoinReply> {
  const request = encodePeerRequest({ type: 'join', addresses: transport.addresses(), zone })
  let lastError = new AppError('JOIN_REFUSED', 'no contact was given')
  for (const contact of contacts) {
    try {
      return decodeJoinReply(await transport.request(contact, request, { timeoutMs }))
    } catch (error) {
      lastError = toAppError(error)
    }
  }
  throw lastError
}

/**
 * One page of several nodes' pages. Where a node had more than fits its page, the merged one ends with what that node
 * gave: reading on from there must not pass over the rest.
 */
function mergePages(pages: readonly (readonly LogChunk[])[], maxBytes: number): LogChunk[] {
  const ends = pages
    .filter((page) => page.reduce((sum, { bytes }) => sum + bytes.length, 0) >= maxBytes)
    .flatMap((page) => page.slice(-1))
  return pages
    .flat()
    .filter((chunk) => ends.every((end) => inOrder(chunk, end) <= 0))
    .sort(inOrder)
}

function inOrder(a: LogPosition, b: LogPosition): number {
  return a.attempt - b.attempt || a.offset - b.offset
}
