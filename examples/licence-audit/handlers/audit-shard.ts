import { join } from 'node:path'
import { defineTask } from '../../../client/task.ts'
import {
  LARGEST,
  licenceOf,
  packagesBelow,
  readManifest,
  sizeOf,
  type Findings,
  type PackageList
} from '../audit.ts'

/** Audits every n-th package folder of the list, with the packages nested below it. */
export default defineTask<{ readonly shard: number; readonly shards: number }, Findings>({
  name: 'licence-audit.shard',
  run: async ({ shard, shards }, context) => {
    const { root, folders } = context.needs['list'] as PackageList
    const licences: Record<string, number> = {}
    const withoutLicence: string[] = []
    const sizes = []
    for (const folder of folders.filter((_, index) => index % shards === shard)) {
      context.signal.throwIfAborted()
      for await (const path of packagesBelow(join(root, folder))) {
        const manifest = await readManifest(path)
        if (manifest === undefined || typeof manifest.name !== 'string') continue
        const { name } = manifest
        const version = typeof manifest.version === 'string' ? manifest.version : '0.0.0'
        const licence = await licenceOf(path, manifest)
        if (licence === undefined) withoutLicence.push(`${name}@${version}`)
        else licences[licence] = (licences[licence] ?? 0) + 1
        sizes.push({ name, version, bytes: await sizeOf(path) })
      }
    }
    console.log(`shard ${shard + 1} of ${shards}: ${sizes.length} packages`)
    const largest = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST)
    return { packages: sizes.length, licences, withoutLicence, largest }
  }
})
