/** How the content of an artifact, or of one of its files, is shown. No DOM here. */
import { ArtifactDetail } from '../api/types';

export type Shown = 'image' | 'page' | 'json' | 'text' | 'none';

const ENDINGS: Record<Exclude<Shown, 'none'>, readonly string[]> = {
  image: ['png', 'jpg', 'jpeg', 'gif', 'webp', 'svg'],
  page: ['html', 'htm'],
  json: ['json', 'ipynb', 'geojson'],
  text: [
    'txt',
    'csv',
    'tsv',
    'md',
    'py',
    'yaml',
    'yml',
    'toml',
    'log',
    'ini',
    'cfg',
    'sql',
    'xml',
    'jsonl',
    'rst',
    'sh'
  ]
};
// files of models that have no ending
const TEXTS = new Set(['mlmodel', 'readme', 'license', 'dockerfile', 'makefile']);

/** By the name of a file. */
export function shownAs(name: string): Shown {
  const base = name.slice(name.lastIndexOf('/') + 1).toLowerCase();
  const ending = base.includes('.') ? base.slice(base.lastIndexOf('.') + 1) : '';
  for (const [kind, endings] of Object.entries(ENDINGS)) {
    if (endings.includes(ending)) {
      return kind as Shown;
    }
  }
  return TEXTS.has(base) ? 'text' : 'none';
}

export type Kind = 'dataset' | 'model' | 'folder' | 'file';

export function kindOf(artifact: ArtifactDetail): Kind {
  if (artifact.kind === 'model') {
    return 'model';
  }
  if (Array.isArray(artifact.status.preview) || (artifact.spec as any).schema?.fields) {
    return 'dataset';
  }
  return artifact.files.length || artifact.kind === 'dir' ? 'folder' : 'file';
}

/** A column of a dataset, as its statistics tell of it. */
export interface IColumn {
  name: string;
  type: string;
  stats: Record<string, any>;
}

export function columnsOf(artifact: ArtifactDetail): IColumn[] {
  const spec = artifact.spec as Record<string, any>;
  const status = artifact.status as Record<string, any>;
  const fields: { name: string; type?: string; dtype?: string }[] =
    spec.schema?.fields ?? (spec.header ?? Object.keys(status.stats ?? {})).map((name: string) => ({ name }));
  return fields.map(each => ({
    name: each.name,
    type: each.dtype ?? each.type ?? '',
    stats: status.stats?.[each.name] ?? {}
  }));
}

/** The line of Python that gives what is in it. */
export function loadLine(artifact: ArtifactDetail): string {
  const item = `mlrun.get_dataitem("${artifact.uri}")`;
  const kind = kindOf(artifact);
  if (kind === 'dataset') {
    return `${item}.as_df()`;
  }
  return kind === 'model' ? `${item}.as_object()` : `${item}.local()`;
}
