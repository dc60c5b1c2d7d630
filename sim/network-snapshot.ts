/**
 * Snapshot streams between simulated nodes: one chunk under way at a time, each taking the link's delay and waiting for
 * the consumer. A cut that outlasts the detection time, or a death, breaks the stream at both ends.
 */
import { AppError, toAppError } from '../base/errors.ts'
import type { PeerId } from '../base/ids.ts'
import type { SimEnd, Surroundings } from './network-surroundings.ts'

type Next = { readonly done: false; readonly chunk: Uint8Array } | { readonly done: true }

export async function streamSnapshot(
  from: SimEnd,
  to: PeerId,
  header: Uint8Array,
  chunks: AsyncIterable<Uint8Array>,
  around: Surroundings
): Promise<void> {
  const target = around.live(to)
  const member = target?.memberOf(from)
  if (target === undefined || member === undefined || from.memberOf(target) === undefined) {
    throw new AppError('PEER_UNREACHABLE', `no connection to ${to}`)
  }
  const source = chunks[Symbol.asyncIterator]()
  /** Resolves one delay later; rejects when the stream is broken, at whichever end is still alive. */
  const carry = (sender: SimEnd, receiver: SimEnd): Promise<void> =>
    new Promise((resolve, reject) => {
      let arrived = false
      around.link(sender.peerId, receiver.peerId).pass(
        () => {
          if (!sender.alive || !receiver.alive) return
          arrived = true
          resolve()
        },
        { reliable: true }
      )
      const watch = (): void => {
        if (arrived) return
        const whole = sender.alive && receiver.alive && around.reachable(sender.peerId, receiver.peerId)
        if (whole) around.schedule(around.detectMs, watch)
        else reject(new AppError('PEER_UNREACHABLE', 'the snapshot stream broke'))
      }
      around.schedule(around.detectMs, watch)
    })
  let sourceFailure: Error | undefined
  const pull = async (): Promise<Next> => {
    await carry(target, from)
    const next = await source.next().catch((error: unknown) => {
      sourceFailure = toAppError(error)
      throw new AppError('PEER_UNREACHABLE', 'the snapshot stream broke')
    })
    await carry(from, target)
    return next.done === true ? { done: true } : { done: false, chunk: next.value.slice() }
  }
  async function* received(): AsyncGenerator<Uint8Array> {
    for (let next = await pull(); !next.done; next = await pull()) yield next.chunk
  }

  await carry(from, target)
  const verdict = await (
    target.handlers?.onSnapshot(member, header.slice(), received()) ?? Promise.resolve()
  ).then(() => undefined, toAppError)
  if (sourceFailure !== undefined) throw sourceFailure
  await source.return?.()
  await carry(target, from)
  if (verdict !== undefined) throw verdict
}
