import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { provenanceOf } from '../../../node/cli/lab/provenance.ts'

const folder = mkdtempSync(join(tmpdir(), 'dtss-provenance-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=n', '-c', 'user.email=e@example.com', ...args], {
    cwd: folder,
    encoding: 'utf8'
  }).trim()

test('only a repository of which the package is the top is its own', () => {
  expect(provenanceOf(folder)).toMatchObject({ commit: 'unknown', dirty: null })
  git('init', '-q')
  writeFileSync(join(folder, 'file'), 'one')
  git('add', 'file')
  git('commit', '-q', '-m', 'one')
  const commit = git('rev-parse', '--short', 'HEAD')
  expect(provenanceOf(folder)).toMatchObject({ commit, dirty: false })
  writeFileSync(join(folder, 'file'), 'two')
  expect(provenanceOf(folder)).toMatchObject({ commit, dirty: true })
  const inside = join(folder, 'node_modules', 'dtss')
  mkdirSync(inside, { recursive: true })
  expect(provenanceOf(inside)).toMatchObject({ commit: 'unknown', dirty: null })
})
