/** Random messages of every type, in the shape that their type needs. */
import fc from 'fast-check'
import { encodeConfChange } from '../../consensus/conf-change.ts'
import type { ConfState, Entry, Message, Snapshot } from '../../consensus/types.ts'
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MESSAGE_TYPES,
  NO_BYTES,
  makeMessage
} from '../../consensus/types.ts'

const number = fc.oneof(fc.nat(300), fc.maxSafeNat())
const peerId = fc.oneof(fc.nat(9), fc.constantFrom(LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD), fc.maxSafeNat())
const ids = fc
  .uniqueArray(fc.integer({ min: 1, max: 400 }), { maxLength: 6 })
  .map((list) => list.sort((a, b) => a - b))

/** Any membership, sensible or not. */
export const confState: fc.Arbitrary<ConfState> = fc.record({
  voters: ids,
  learners: ids,
  votersOutgoing: ids,
  learnersNext: ids,
  autoLeave: fc.boolean()
})

/** Any entry. */
export const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({
    term: number,
    index: number,
    type: fc.constant('normal' as const),
    data: fc.uint8Array({ maxLength: 300 })
  }),
  fc
    .record({
      term: number,
      index: number,
      nodeId: fc.nat(9),
      version: fc.constantFrom(1 as const, 2 as const)
    })
    .map(({ term, index, nodeId, version }): Entry => {
      const single = { type: 'add-node' as const, nodeId }
      return {
        term,
        index,
        ...(version === 1
          ? encodeConfChange({ version, ...single, context: NO_BYTES })
          : encodeConfChange({ version, transition: 'auto', changes: [single], context: NO_BYTES }))
      }
    })
)

const snapshot: fc.Arbitrary<Snapshot> = fc.record({
  index: fc.integer({ min: 1, max: 1_000_000 }),
  term: number,
  confState,
  data: fc.uint8Array({ maxLength: 50 })
})

const anyFields = fc.record({
  type: fc.constantFrom(...MESSAGE_TYPES),
  to: peerId,
  from: peerId,
  term: number,
  logTerm: number,
  index: fc.nat(1_000_000),
  entries: fc.array(entry, { maxLength: 4 }),
  commit: number,
  vote: number,
  snapshot: fc.option(snapshot, { nil: undefined }),
  reject: fc.boolean(),
  rejectHint: number,
  context: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined })
})

/** Any message that may be encoded, without responses. */
const flat: fc.Arbitrary<Message> = fc.tuple(anyFields, entry, snapshot).map(([fields, one, snap]) => {
  const message = makeMessage(fields)
  switch (message.type) {
    case 'MsgApp':
      return follow(message)
    case 'MsgProp':
      return message.entries.length > 0 ? message : { ...message, entries: [one] }
    case 'MsgReadIndex':
    case 'MsgReadIndexResp':
      return { ...message, entries: [one] }
    case 'MsgSnap':
      return { ...message, snapshot: message.snapshot ?? snap }
    case 'MsgVote':
    case 'MsgVoteResp':
    case 'MsgPreVote':
    case 'MsgPreVoteResp':
      return { ...message, term: Math.max(1, message.term) }
    default:
      return message
  }
})

/** Any message that may be encoded. */
export const message: fc.Arbitrary<Message> = fc
  .tuple(flat, fc.array(flat, { maxLength: 3 }))
  .map(([one, responses]) => (one.type.startsWith('MsgStorage') ? { ...one, responses } : one))

/** An append whose entries follow each other, in terms that do not fall and do not pass its own. */
function follow(append: Message): Message {
  const logTerm = Math.min(append.logTerm, append.term)
  const entries = append.entries.map((one, at) => ({
    ...one,
    index: append.index + at + 1,
    term: append.term
  }))
  return { ...append, logTerm, entries }
}
