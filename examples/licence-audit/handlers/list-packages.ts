import { join } from 'node:path'
import { defineTask, TerminalError } from '../../../client/task.ts'
import { packageFolders, type PackageList } from '../audit.ts'

/** Lists what is installed. Fails for good when nothing is: no retry will install it. */
export default defineTask<{ readonly project: string }, PackageList>({
  name: 'licence-audit.list',
  run: async ({ project }) => {
    const root = join(project, 'node_modules')
    const folders = await packageFolders(root)
    if (folders.length === 0)
      throw new TerminalError(`no packages under ${root}`, { code: 'NOTHING_INSTALLED' })
    console.log(`${folders.length} package folders under ${root}`)
    return { root, folders }
  }
})
