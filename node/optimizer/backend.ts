/** Which TensorFlow.js backend trains: the fastest one that loads here. */
import { getBackend, ready, setBackend } from '@tensorflow/tfjs-core'

/** A native addon that is used when somebody installed it; it is no dependency. */
const NATIVE = '@tensorflow/tfjs-node'

const CANDIDATES: readonly { readonly name: string; readonly load: () => Promise<unknown> }[] = [
  { name: 'tensorflow', load: () => import(NATIVE) },
  { name: 'wasm', load: () => import('@tensorflow/tfjs-backend-wasm') },
  { name: 'cpu', load: () => import('@tensorflow/tfjs-backend-cpu') }
]

/** Loads a backend and makes it the current one; returns its name. Throws when none loads. */
export async function useFastestBackend(): Promise<string> {
  // Its import registers the gradients of all operations; without them nothing is trained.
  await import('@tensorflow/tfjs-layers')
  const problems: string[] = []
  for (const { name, load } of CANDIDATES) {
    try {
      await load()
      if (await setBackend(name)) {
        await ready()
        return getBackend()
      }
      problems.push(`${name}: it did not start`)
    } catch (error) {
      problems.push(`${name}: ${String(error)}`)
    }
  }
  throw new Error(`no TensorFlow.js backend loads: ${problems.join('; ')}`)
}
