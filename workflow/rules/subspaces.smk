# Jacobians, their factorisation and editing directions: results/jacobian, styles,
# factorize, subspace, restrict, and what theory says of them exactly: linearity.
#
# What takes both cores has a priority above that of any two jobs of one core: these would go on
# side by side until none is left, and the last of them alone while the other core waits. Samples
# come before all that is made of them.


rule jacobian:
    input:
        parents("jacobian"),
        code=code_of(BASE, "jacobian"),
    output:
        gram="results/jacobian/{key}/gram.safetensors",
        record="results/jacobian/{key}/record.json",
    log:
        "results/jacobian/{key}/log.txt",
    benchmark:
        "results/jacobian/{key}/benchmark.tsv"
    priority: 3
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=holding(4000),
        runtime=growing(240),
    params:
        job=job("jacobian"),
    shell:
        RUN


rule factorize:
    input:
        parents("factorize"),
        code=code_of(BASE, "factorize"),
    output:
        factors="results/factorize/{key}/factors.safetensors",
        ranks="results/factorize/{key}/ranks.csv",
        record="results/factorize/{key}/record.json",
    log:
        "results/factorize/{key}/log.txt",
    benchmark:
        "results/factorize/{key}/benchmark.tsv"
    priority: 1
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        job=job("factorize"),
    shell:
        RUN


rule candidates:
    input:
        parents("candidates"),
        code=code_of(BASE, "candidates"),
    output:
        directions="results/candidates/{key}/candidates.safetensors",
        record="results/candidates/{key}/record.json",
    log:
        "results/candidates/{key}/log.txt",
    benchmark:
        "results/candidates/{key}/benchmark.tsv"
    priority: lambda wildcards: urgent[wildcards.key]
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        job=job("candidates"),
    shell:
        RUN


rule styles:
    input:
        parents("styles"),
        code=code_of(BASE, "styles"),
    output:
        gram="results/styles/{key}/gram.safetensors",
        record="results/styles/{key}/record.json",
    log:
        "results/styles/{key}/log.txt",
    benchmark:
        "results/styles/{key}/benchmark.tsv"
    priority: 3
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        job=job("styles"),
    shell:
        RUN


rule channels:
    input:
        parents("channels"),
        code=code_of(BASE, "channels"),
    output:
        directions="results/channels/{key}/directions.safetensors",
        record="results/channels/{key}/record.json",
    log:
        "results/channels/{key}/log.txt",
    benchmark:
        "results/channels/{key}/benchmark.tsv"
    priority: 3
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        job=job("channels"),
    shell:
        RUN


rule subspace:
    input:
        parents("subspace"),
        code=code_of(BASE, "subspace"),
    output:
        directions="results/subspace/{key}/directions.safetensors",
        record="results/subspace/{key}/record.json",
    log:
        "results/subspace/{key}/log.txt",
    benchmark:
        "results/subspace/{key}/benchmark.tsv"
    priority: lambda wildcards: urgent[wildcards.key]
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        job=job("subspace"),
    shell:
        RUN


rule restrict:
    input:
        parents("restrict"),
        code=code_of(BASE, "restrict"),
    output:
        gram="results/restrict/{key}/gram.safetensors",
        record="results/restrict/{key}/record.json",
    log:
        "results/restrict/{key}/log.txt",
    benchmark:
        "results/restrict/{key}/benchmark.tsv"
    priority: 3
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        job=job("restrict"),
    shell:
        RUN


rule linearity:
    input:
        parents("linearity"),
        code=code_of(BASE, "linearity"),
    output:
        ranks="results/linearity/{key}/ranks.csv",
        errors="results/linearity/{key}/errors.csv",
        record="results/linearity/{key}/record.json",
    log:
        "results/linearity/{key}/log.txt",
    benchmark:
        "results/linearity/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        job=job("linearity"),
    shell:
        RUN
