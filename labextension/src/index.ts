/** The plugins, each small. */
import { artifact } from './plugins/artifact';
import { model } from './plugins/model';
import { notebook } from './plugins/notebook';
import { panel, sections } from './plugins/panel';
import { run } from './plugins/run';
import { shell } from './plugins/shell';

export { IModel, ISection, ISections } from './tokens';

export default [model, sections, panel, run, artifact, notebook, shell];
