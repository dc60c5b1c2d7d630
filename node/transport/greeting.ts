/** Exchanges greetings on a fresh stream, from either side. */
import type { FrameSocket, FrameSocketEvents } from './frame-socket.ts'
import { encodeFrames } from './frames.ts'
import { compareHello, decodeHello, encodeHello } from './hello.ts'
import type { Hello, HelloMismatch } from './hello.ts'

/** The peers are not of one kind: to be reported, and not to be retried hot. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError'
  readonly mismatch: HelloMismatch

  constructor(mismatch: HelloMismatch) {
    super(mismatch.message)
    this.mismatch = mismatch
  }
}

/**
 * Sends our greeting and waits for the peer's; `next` hears what follows it. Rejects with `MismatchError`, or when the stream closed or `timeoutMs`
 * passed; the stream is then aborted. Both sides send at once, so each learns of a mismatch by itself.
 */
export function greet(
  socket: FrameSocket,
  own: Hello,
  timeoutMs: number,
  next: FrameSocketEvents
): Promise<Hello> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(timer)
      reject(error)
      socket.abort(error)
    }
    const timer = setTimeout(() => {
      fail(new Error('no greeting in time'))
    }, timeoutMs)
    socket.listen({
      onFrame: (frame) => {
        clearTimeout(timer)
        const hello = decodeHello(frame)
        const mismatch = hello === undefined ? undefined : compareHello(own, hello)
        if (hello === undefined) fail(new Error('the first frame is no greeting'))
        // The peer still has to read ours, so the stream ends gently.
        else if (mismatch !== undefined) {
          reject(new MismatchError(mismatch))
          socket.end()
        } else {
          // At once: more frames may lie in the read that brought this one.
          socket.listen(next)
          resolve(hello)
        }
      },
      onClose: (error) => {
        clearTimeout(timer)
        reject(error ?? new Error('the peer closed the stream'))
      }
    })
    socket.write(encodeFrames([encodeHello(own)]))
  })
}
