"""Where labelled images come from, how they are split, and how they reach training.

========================  =====================================================================
module                    gives
========================  =====================================================================
``samples``               the sample set
``folder``, ``table``     ``from_folder``, ``from_csv``: a ``Labelled`` from what a user has
``checks``                ``count``, ``require_usable``, ``require_measurable``: one line for data that cannot work
``grouping``              ``near_duplicate_groups``
``splits``, ``leaks``     which images train, choose and prove; what stands on two sides
``split_store``           ``SplitStore``: a split is made once and never redrawn
``prepared``              ``prepare``: every picture decoded once, kept small
``loader``                ``ImageSource``, ``FeatureSource``: batches for the training loop
========================  =====================================================================

Only ``loader`` needs torch.
"""
