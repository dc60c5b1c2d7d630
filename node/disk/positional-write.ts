import { write } from 'node:fs'

/** Writes all of `bytes` at `offset` through the pool of libuv; the descriptor was opened with O_DSYNC. */
export function writeThroughPool(fd: number, offset: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const from = (start: number): void => {
      write(fd, bytes, start, bytes.length - start, offset + start, (error, written) => {
        if (error !== null) reject(error)
        else if (start + written < bytes.length) from(start + written)
        else resolve()
      })
    }
    from(0)
  })
}
