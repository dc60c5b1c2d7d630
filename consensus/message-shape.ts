/** What every message of a type must look like, whoever sent it. */
import { DecodeError } from './bytes.ts'
import type { Message } from './types.ts'
import { MAX_PEER_ID, NONE, isLocalThread } from './types.ts'

/** Throws `DecodeError` when a message does not have the shape of its type. */
export function checkMessageShape(message: Message): void {
  switch (message.type) {
    case 'MsgApp':
      checkEntriesFollow(message)
      return
    case 'MsgProp':
      expectShape(message, message.entries.length > 0, 'at least one entry')
      return
    case 'MsgReadIndex':
    case 'MsgReadIndexResp':
      expectShape(message, message.entries.length === 1, 'one entry')
      return
    case 'MsgSnap':
      expectShape(message, (message.snapshot?.index ?? 0) > 0, 'a snapshot')
      return
    case 'MsgVote':
    case 'MsgVoteResp':
    case 'MsgPreVote':
    case 'MsgPreVoteResp':
      expectShape(message, message.term > 0, 'a term')
      return
    default:
      return
  }
}

/**
 * Why a message that came from peer `sender` to peer `receiver` over the network must not be stepped, or undefined when
 * it may: local threads have no voice there, and nobody speaks for others, except to forward what is meant for the leader.
 */
export function refusePeerMessage(message: Message, sender: number, receiver: number): string | undefined {
  if (isLocalThread(message.from) || isLocalThread(message.to)) return 'it concerns a local thread'
  if (message.from === NONE || message.from > MAX_PEER_ID) return `it is from ${message.from}`
  if (message.to !== receiver) return `it is for peer ${message.to}`
  const forwarded =
    message.type === 'MsgProp' || message.type === 'MsgReadIndex' || message.type === 'MsgTransferLeader'
  if (message.from !== sender && !forwarded) return `peer ${sender} speaks for peer ${message.from}`
  return undefined
}

function checkEntriesFollow(message: Message): void {
  let index = message.index
  let term = message.logTerm
  for (const entry of message.entries) {
    expectShape(message, entry.index === ++index && entry.term >= term, 'entries that follow each other')
    term = entry.term
  }
  expectShape(message, term <= message.term, 'entries of its term or older ones')
}

function expectShape(message: Message, condition: boolean, expected: string): void {
  if (!condition) throw new DecodeError(`${message.type} needs ${expected}`)
}
