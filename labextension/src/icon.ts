import { LabIcon } from '@jupyterlab/ui-components';

export const mlrunIcon = new LabIcon({
  name: 'mlrun:icon',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="none" stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path class="jp-icon3" d="M4 18V7l5 6 5-6v5"/></g><path class="jp-icon3" fill="#616161" d="M15 14.5l6 3.75-6 3.75z"/></svg>'
});
