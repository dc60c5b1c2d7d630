/**
 * The scripts of etcd-io/raft, which are kept beside the repository and not in it, and our own in the same language. Where
 * etcd's are not at hand their tests are skipped, visibly.
 */
import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findScripts, runFile } from '../../tools/conformance/runner.ts'

const ETCD_SCRIPTS = join(import.meta.dirname, '../../../shared/conformance/etcd-raft')
const OWN_SCRIPTS = join(import.meta.dirname, 'scripts')

function checkAll(root: string): void {
  test.each(findScripts(root).map((path) => relative(root, path)))('%s', (name) => {
    const { diff, directives } = runFile(join(root, name))
    expect(diff).toBe('')
    expect(directives).toBeGreaterThan(0)
  })
}

describe.skipIf(!existsSync(ETCD_SCRIPTS))("etcd's scripts print what they expect", () => {
  if (existsSync(ETCD_SCRIPTS)) checkAll(ETCD_SCRIPTS)
  else test('the scripts are not at hand', () => undefined)
})

describe('our own scripts print what they expect', () => {
  checkAll(OWN_SCRIPTS)
})
