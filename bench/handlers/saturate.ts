import { pbkdf2 } from 'node:crypto'
import { lookup } from 'node:dns'
import { promisify } from 'node:util'
import { deflate } from 'node:zlib'
import { defineTask } from '../../client/task.ts'

const work = {
  crypto: () => promisify(pbkdf2)('secret', 'salt', 20_000, 64, 'sha512'),
  zlib: () => promisify(deflate)(Buffer.alloc(1 << 20, 'dtss')),
  // Loopback names only: what counts is libuv's pool, which resolves them.
  dns: () => promisify(lookup)('localhost')
}

/** Keeps libuv's thread pool of its process full, with the kind of work that it is asked for. */
export default defineTask<{ readonly kind: keyof typeof work; readonly seconds: number }, number>({
  name: 'saturate',
  run: async ({ kind, seconds }, { signal }) => {
    const endAt = performance.now() + seconds * 1000
    let done = 0
    const lane = async (): Promise<void> => {
      while (performance.now() < endAt && !signal.aborted) {
        await work[kind]()
        done += 1
      }
    }
    await Promise.all([lane(), lane(), lane(), lane()])
    return done
  }
})
